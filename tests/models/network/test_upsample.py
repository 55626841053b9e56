"""The places where decoders enlarge a map."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.errors import SpecError
from maskzoo.models.network.upsample import Upsample
from maskzoo.models.registry import list_models, list_sites
from tests.models import tiny

UPSAMPLING = [
    name for name in list_models() if "upsampling" in list_sites(tiny.build(name), "carafe")
]


def test_architectures_that_enlarge_their_maps_have_the_site():
    assert UPSAMPLING == [
        "attention_unet", "bisenetv2", "ddrnet", "deeplabv3plus", "dpt", "fpn", "lraspp", "manet",
        "pan", "pidnet", "segformer", "segnext", "stdc", "unet", "unetplusplus", "upernet",
    ]  # fmt: skip


@pytest.mark.parametrize("name", UPSAMPLING)
def test_its_factor_is_that_by_which_the_map_grows(name):
    network = tiny.build(name).eval()
    seen = []

    def note(module, args, output):
        seen.append((module.factor, args[0].shape, output.shape))

    for module in network.modules():
        if isinstance(module, Upsample):
            module.register_forward_hook(note)
    with torch.no_grad():
        network(torch.zeros(1, 3, 128, 192))
    assert seen
    for factor, given, grown in seen:
        assert (given[2] * factor, given[3] * factor) == grown[2:]
        assert given[1] == grown[1]


@pytest.mark.parametrize("name", UPSAMPLING)
@pytest.mark.parametrize("plugin", ["carafe", "dysample", "pixelshuffle"])
def test_a_plugin_takes_every_place_with_its_channels(name, plugin):
    network = tiny.build(name, plugins=[f"{plugin}@upsampling"]).eval()
    left = [m for m in network.decoder.modules() if isinstance(m, Upsample) and m.factor > 1]
    assert left == []
    with torch.no_grad():
        assert network(torch.randn(1, 3, 70, 41)).shape == (1, tiny.CLASSES, 70, 41)


@pytest.mark.parametrize("name", UPSAMPLING)
def test_the_bare_network_has_no_tensor_more_for_the_site(name):
    bare = tiny.build(name).state_dict()
    plugged = tiny.build(name, plugins=["pixelshuffle@upsampling"]).state_dict()
    assert set(bare) <= set(plugged)
    assert not any("upsampl" in key or "align" in key or "top_down" in key for key in bare)


def test_a_place_is_taken_once():
    with pytest.raises(SpecError, match="no such site for dysample"):
        tiny.build("unet", plugins=["carafe@upsampling", "dysample@upsampling"])


def test_the_nearest_value_is_repeated_on_request():
    x = torch.tensor([[[[1.0, 2.0]]]])
    grown = Upsample(1, 2, mode="nearest")(x, torch.Size([2, 4]))
    assert grown[0, 0].tolist() == [[1, 1, 2, 2], [1, 1, 2, 2]]
