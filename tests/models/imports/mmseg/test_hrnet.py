"""HRNets of mmsegmentation are named by the width of their finest branch and their first stage."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.hrnet import read_hrnet
from maskzoo.models.imports.mmseg.section import Section


def state(width, blocks):
    first = {f"layer1.{n}.conv1.weight": torch.ones(1) for n in range(blocks)}
    return {**first, "stage4.0.branches.0.0.conv1.weight": torch.ones(width, width, 3, 3)}


@pytest.mark.parametrize(
    ("width", "blocks", "name"),
    [(18, 2, "hrnet_w18_small_v2"), (18, 4, "hrnet_w18"), (48, 4, "hrnet_w48")],
)
def test_the_three_published_hrnets_are_timms(width, blocks, name):
    read = read_hrnet(Section("backbone", {"type": "HRNet", "extra": {}}), state(width, blocks))
    assert read.encoder == f"tu-{name}"
    assert read.options == {"feature_location": "", "exchange": "bilinear"}
    assert read.output_stride == 32


def test_another_width_is_an_error_that_names_those_there_are():
    with pytest.raises(WeightsError, match=r"width 20 with 4 blocks .* 18 with 2"):
        read_hrnet(Section("backbone", {}), state(20, 4))
