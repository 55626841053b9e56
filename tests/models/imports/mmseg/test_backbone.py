"""Backbones of mmsegmentation: kind, depth and widths come from the weights."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.backbone import read_resnet
from maskzoo.models.imports.mmseg.section import Section
from maskzoo.models.network.encoders import Encoder
from tests.models.imports.mmseg import checkpoints

FULL = (64, 128, 256, 512)
DILATED = {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4), "contract_dilation": True}


def read(kind, blocks, *, bottleneck, widths=(64, 4, 6, 8), **settings):
    state = checkpoints.resnet(kind, blocks, widths, bottleneck=bottleneck)
    bare = {key.removeprefix("backbone."): tensor for key, tensor in state.items()}
    return read_resnet(Section("backbone", {"type": kind, **settings}), bare), bare


@pytest.mark.parametrize(
    ("kind", "blocks", "bottleneck", "settings", "encoder", "options"),
    [
        ("ResNetV1c", (3, 4, 6, 3), True, DILATED, "tu-resnet50c", {}),
        ("ResNetV1c", (3, 4, 23, 3), True, DILATED, "tu-resnet101c", {}),
        ("ResNet", (3, 4, 6, 3), True, DILATED, "tu-resnet50", {}),
        ("ResNet", (2, 2, 2, 2), False, {}, "tu-resnet18", {}),
        ("ResNet", (2, 2, 2, 2), False, DILATED, "tu-resnet18", {"dilations": [1, 1, 2, 4]}),
        ("ResNetV1c", (2, 2, 2, 2), False, {}, "tu-resnet18", {"stem_type": "deep"}),
        ("ResNetV1d", (3, 4, 6, 3), True, {}, "tu-resnet50d", {}),
        ("ResNetV1d", (3, 4, 6, 3), True, DILATED, "tu-resnet50d", {"dilations": [1, 1, 2, 4]}),
        (
            "ResNetV1c",
            (3, 4, 23, 3),
            True,
            {
                "strides": (1, 2, 2, 1),
                "dilations": (1, 1, 1, 2),
                "multi_grid": (1, 2, 4),
                "contract_dilation": True,
            },
            "tu-resnet101c",
            {"dilations": [1, 1, 1, 2], "multi_grid": [1, 2, 4]},
        ),
        (
            "ResNet",
            (3, 4, 6, 3),
            True,
            {"strides": (1, 2, 2, 2), "dilations": (1, 1, 2, 4), "contract_dilation": True},
            "tu-resnet50",
            {"dilations": [1, 1, 2, 4]},
        ),
        (
            "ResNetV1c",
            (3, 4, 6, 3),
            True,
            {"strides": (1, 2, 1, 1), "dilations": (1, 1, 2, 4)},
            "tu-resnet50c",
            {"dilations": [1, 1, 2, 4], "contract_dilation": False},
        ),
        ("ResNet", (1, 1, 1, 1), False, {}, "tu-resnet18", {"layers": [1, 1, 1, 1]}),
    ],
)
def test_a_resnet_is_named_as_timm_names_it(kind, blocks, bottleneck, settings, encoder, options):
    read_map, state = read(kind, blocks, bottleneck=bottleneck, **settings)
    widths = {"channels": [64, 4, 6, 8]}
    stem = {} if kind == "ResNet" else {"stem_width": 2}
    assert read_map.encoder == encoder
    assert read_map.options == {**options, **widths, **stem}
    if sum(blocks) > 16:
        return
    wanted = Encoder(
        encoder, output_stride=read_map.output_stride, options=read_map.options
    ).body.model.state_dict()
    assert len(wanted) == len(state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strides": (1, 1, 1, 1)}, "strides"),
        ({"style": "caffe"}, "style"),
        ({"out_indices": (3,)}, "out_indices"),
    ],
)
def test_what_no_encoder_of_ours_does_is_an_error(settings, message):
    with pytest.raises(WeightsError, match=message):
        read("ResNet", (1, 1, 1, 1), bottleneck=False, **settings)


def test_a_type_that_contradicts_the_weights_is_an_error():
    state = checkpoints.resnet("ResNet")
    bare = {key.removeprefix("backbone."): tensor for key, tensor in state.items()}
    with pytest.raises(WeightsError, match="another ResNet"):
        read_resnet(Section("backbone", {"type": "ResNetV1c"}), bare)
