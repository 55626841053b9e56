"""Architectures against segmentation_models_pytorch's decoders, on the same weights."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder
from segmentation_models_pytorch.decoders.manet.decoder import MAnetDecoder, PABBlock
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from segmentation_models_pytorch.decoders.unetplusplus.decoder import UnetPlusPlusDecoder
from torch import Tensor, nn

from maskzoo.models.architectures.fpn import FPN
from maskzoo.models.architectures.linknet import LinkNet
from maskzoo.models.architectures.manet import MANet
from maskzoo.models.architectures.segformer import SegFormer
from maskzoo.models.architectures.unet import UNet
from maskzoo.models.architectures.unetplusplus import UNetPlusPlus
from maskzoo.models.network.decoder import DecoderSetup

CHANNELS = (3, 4, 8, 12, 16, 20)
STRIDES = (1, 2, 4, 8, 16, 32)
WIDTHS = (10, 9, 8, 7, 6)


def features(channels: Sequence[int] = CHANNELS) -> list[Tensor]:
    """Features of an image of 64 x 96, whose sizes halve exactly, as smp needs."""
    torch.manual_seed(0)
    return [
        torch.randn(2, count, 64 // stride, 96 // stride, dtype=torch.float64)
        for count, stride in zip(channels, STRIDES, strict=True)
    ]


def shuffled(module: nn.Module) -> nn.Module:
    """Return the module in float64 and evaluation mode, no parameter at its start."""
    torch.manual_seed(1)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.2)
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias, 0, 0.2)
        elif isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and part.bias is not None:
            nn.init.normal_(part.bias)
    return module.double().eval()


def leaves(module: nn.Module) -> list[nn.Module]:
    """Return the parts that have weights, in the order of their construction."""
    return [part for part in module.modules() if any(True for _ in part.parameters(recurse=False))]


def copy_weights(ours: Sequence[nn.Module], theirs: Sequence[nn.Module]) -> None:
    """Copy part by part; a linear layer goes into a 1x1 convolution."""
    assert len(ours) == len(theirs)
    for target, source in zip(ours, theirs, strict=True):
        for key, tensor in source.state_dict().items():
            target.state_dict()[key].copy_(tensor.view_as(target.state_dict()[key]))


def assert_equal(ours: nn.Module, theirs: nn.Module, maps: list[Tensor]) -> None:
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(maps), theirs(maps))


def test_unet_equals_smp():
    theirs = shuffled(UnetDecoder(CHANNELS, WIDTHS, interpolation_mode="bilinear"))
    ours = UNet(DecoderSetup(CHANNELS, STRIDES, 3), channels=WIDTHS)
    copy_weights(leaves(ours), leaves(theirs))
    assert_equal(ours, theirs, features())


def test_unetplusplus_equals_smp():
    theirs = shuffled(UnetPlusPlusDecoder(CHANNELS, WIDTHS, interpolation_mode="bilinear"))
    ours = UNetPlusPlus(DecoderSetup(CHANNELS, STRIDES, 3), channels=WIDTHS)
    for name, node in ours.nodes.items():
        level, column = map(int, name.split("_"))
        # smp counts from the deepest level, and names a node by first and last level
        last = 5 - level - 1
        copy_weights(leaves(node), leaves(theirs.blocks[f"x_{last - column + 1}_{last}"]))
    copy_weights(leaves(ours.full), leaves(theirs.blocks["x_0_4"]))
    assert_equal(ours, theirs, features())


def test_fpn_equals_smp():
    theirs = shuffled(FPNDecoder(CHANNELS, pyramid_channels=16, segmentation_channels=128))
    setup = DecoderSetup(CHANNELS, STRIDES, 3, norm="group", align_corners=True)
    ours = FPN(setup, pyramid_channels=16, channels=128)
    copy_weights(leaves(ours), leaves(theirs))
    assert_equal(ours, theirs, features())


@pytest.mark.parametrize("merge", ["add", "concatenate"])
def test_fpn_merges_as_smp_does(merge):
    policy = {"add": "add", "concatenate": "cat"}[merge]
    theirs = shuffled(FPNDecoder(CHANNELS, 5, 16, 128, merge_policy=policy))
    setup = DecoderSetup(CHANNELS, STRIDES, 3, norm="group", align_corners=True)
    ours = FPN(setup, pyramid_channels=16, channels=128, merge=merge)
    copy_weights(leaves(ours), leaves(theirs))
    assert_equal(ours, theirs, features())


def test_segformer_equals_smp():
    channels = (3, 0, 8, 12, 16, 20)
    theirs = shuffled(SegformerDecoder(list(channels), segmentation_channels=6))
    ours = SegFormer(DecoderSetup(channels, STRIDES, 3), channels=6)
    copy_weights(leaves(ours), leaves(theirs))
    assert_equal(ours, theirs, features(channels))


@pytest.mark.parametrize("channels", [CHANNELS, (3, 0, 8, 12, 16, 20)])
def test_linknet_equals_smp(channels):
    theirs = shuffled(LinknetDecoder(list(channels), prefinal_channels=6))
    ours = LinkNet(DecoderSetup(channels, STRIDES, 3), channels=6)
    for part in theirs.modules():  # smp's bias before a norm is the norm's mean here
        if isinstance(part, nn.Sequential) and isinstance(part[0], nn.ConvTranspose2d):
            part[1].running_mean -= part[0].bias.data
            part[0].bias = None
    copy_weights(leaves(ours), leaves(theirs))
    assert_equal(ours, theirs, features(channels))


def test_manet_equals_smp_but_for_its_position_attention():
    theirs = shuffled(MAnetDecoder(CHANNELS, WIDTHS, reduction=2, interpolation_mode="bilinear"))
    ours = MANet(DecoderSetup(CHANNELS, STRIDES, 3), channels=WIDTHS, reduction=2)
    copy_weights(leaves(ours.levels), leaves(theirs.blocks))
    ours.bottom = theirs.center = nn.Identity()
    assert_equal(ours, theirs, features())


def test_position_wise_attention_is_transposed_and_each_position_sums_to_one():
    """Known mistake: smp's PAB lacks a transpose and normalises over all pairs at once."""
    theirs = shuffled(PABBlock(6, pab_channels=4))
    setup = DecoderSetup((3, 0, 0, 0, 0, 6), STRIDES, 3)
    ours = MANet(setup, channels=(1, 1, 1, 1), attention_channels=4).bottom
    pairs = {"query": "center_conv", "key": "top_conv", "value": "bottom_conv", "out": "out_conv"}
    for name, source in pairs.items():
        ours.get_submodule(name).load_state_dict(theirs.get_submodule(source).state_dict())
    ours = ours.double().eval()
    x = torch.randn(2, 6, 3, 5, dtype=torch.float64)
    with torch.no_grad():
        query, key, value = ours.query(x), ours.key(x), ours.value(x)
        answer = torch.zeros_like(x)
        for i in range(15):
            scores = torch.stack(
                [(query.flatten(2)[..., i] * key.flatten(2)[..., j]).sum(1) for j in range(15)], 1
            )
            weights = scores.softmax(dim=1)  # (2, 15)
            answer[..., i // 5, i % 5] = (weights[:, None] * value.flatten(2)).sum(2)
        torch.testing.assert_close(ours(x), ours.out(x + answer))
        assert (ours(x) - theirs(x)).abs().max() > 0.1


def test_position_wise_attention_keeps_a_constant_value_constant():
    setup = DecoderSetup((3, 0, 0, 0, 0, 6), STRIDES, 3)
    decoder = MANet(setup, channels=(1, 1, 1, 1)).double().eval()
    nn.init.zeros_(decoder.bottom.value.weight)
    x = torch.randn(1, 6, 4, 7, dtype=torch.float64)
    wanted = decoder.bottom.out(x + decoder.bottom.value.bias[:, None, None])
    torch.testing.assert_close(decoder.bottom(x), wanted)


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 96)])
@pytest.mark.parametrize("build", [FPN, LinkNet, MANet, SegFormer, UNet, UNetPlusPlus])
def test_any_size_works(build, size):
    maps = [
        torch.randn(1, count, -(-size[0] // stride), -(-size[1] // stride))
        for count, stride in zip(CHANNELS, STRIDES, strict=True)
    ]
    decoder = build(DecoderSetup(CHANNELS, STRIDES, 3)).eval()
    y = decoder(maps)
    level = {FPN: 2, SegFormer: 2, LinkNet: 0}.get(build, 1)
    assert y.shape == (1, decoder.out_channels, *maps[level].shape[-2:])
    assert F.relu(y).isfinite().all()
