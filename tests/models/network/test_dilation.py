"""Strides and dilations of an encoder's stages, against timm's own and written out by hand."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.errors import SpecError
from maskzoo.models.network.encoders import Encoder

TINY = {"channels": [4, 4, 8, 8], "stem_width": 4}


def encoder(name, stride, **options):
    torch.manual_seed(0)
    return Encoder(name, output_stride=stride, options={**TINY, **options}).eval()


def dilations(network, stage):
    """Return the dilation of every 3x3 convolution of a stage."""
    layer = getattr(network.body.model, f"layer{stage}")
    return [
        part.dilation[0]
        for part in layer.modules()
        if isinstance(part, torch.nn.Conv2d) and part.kernel_size == (3, 3)
    ]


@pytest.mark.parametrize(("stride", "stages"), [(8, [1, 1, 2, 4]), (16, [1, 1, 1, 2])])
def test_bottlenecks_equal_timms_own_dilation(stride, stages):
    x = torch.randn(1, 3, 65, 49)
    own = encoder("tu-resnet50c", stride)
    ours = encoder("tu-resnet50c", stride, dilations=stages)
    ours.load_state_dict(own.state_dict())
    with torch.no_grad():
        for one, other in zip(own(x), ours(x), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_inverted_residuals_equal_timms_own_dilation():
    """timm contracts the dilation of the first block, as the default of ours does."""
    x = torch.randn(1, 3, 65, 49)
    own = Encoder("tu-mobilenetv3_small_050", output_stride=8).eval()
    options = {"dilations": [1, 1, 2, 4]}
    ours = Encoder("tu-mobilenetv3_small_050", output_stride=8, options=options).eval()
    ours.load_state_dict(own.state_dict())
    with torch.no_grad():
        for one, other in zip(own(x), ours(x), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_only_the_first_convolution_of_a_basic_block_is_dilated():
    network = encoder("tu-resnet18", 8, dilations=[1, 1, 2, 4], stem_type="deep")
    assert dilations(network, 3) == [1, 1, 2, 1]
    assert dilations(network, 4) == [2, 1, 4, 1]
    features = network(torch.zeros(1, 3, 65, 33))
    assert [tuple(f.shape[2:]) for f in features[2:]] == [(17, 9)] + [(9, 5)] * 3


def test_the_first_block_keeps_the_dilation_where_it_does_not_contract():
    network = encoder("tu-resnet18", 8, dilations=[1, 1, 2, 4], contract_dilation=False)
    assert dilations(network, 4) == [4, 1, 4, 1]


def test_a_multi_grid_replaces_the_dilation_of_the_last_stage():
    network = encoder("tu-resnet50c", 16, dilations=[1, 1, 1, 2], multi_grid=[1, 2, 4])
    assert dilations(network, 4) == [1, 2, 4]
    assert dilations(network, 3) == [1] * 6


def test_a_stage_may_be_dilated_and_halve_its_map():
    network = encoder("tu-resnet18", 32, dilations=[1, 1, 2, 4])
    assert dilations(network, 4) == [2, 1, 4, 1]
    assert network(torch.zeros(1, 3, 64, 64))[5].shape[2:] == (2, 2)


def test_the_average_of_a_v1d_shortcut_goes_where_a_stage_keeps_its_size():
    network = encoder("tu-resnet18d", 8, dilations=[1, 1, 2, 4])
    kinds = [type(network.body.model.layer3[0].downsample[0])]
    kinds.append(type(network.body.model.layer2[0].downsample[0]))
    assert kinds == [torch.nn.Identity, torch.nn.AvgPool2d]
    assert network(torch.zeros(1, 3, 33, 65))[5].shape[2:] == (5, 9)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("tu-resnet18", {"dilations": [1, 1, 2]}, "four whole numbers"),
        ("tu-resnet18", {"dilations": [1, 1, 2, 0]}, "four whole numbers"),
        ("tu-resnet18", {"multi_grid": [1, 2]}, "four whole numbers"),
        ("tu-resnet18", {"dilations": [1, 1, 1, 2], "multi_grid": [1, 2, 4]}, "2 blocks"),
        ("tu-resnet18", {"dilations": [1, 1, 1, 2], "contract_dilation": 1}, "true or false"),
        ("tu-tf_efficientnet_lite0", {"dilations": [1, 1, 1, 2]}, "dilations are an option of"),
        ("tu-convnext_atto", {"dilations": [1, 1, 1, 2]}, "dilations are an option of"),
    ],
)
def test_other_values_and_networks_are_an_error(name, options, message):
    with pytest.raises(SpecError, match=message):
        Encoder(name, options=options)
