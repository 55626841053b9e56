"""DeepLabV3 and V3+ against torchvision and smp, which differ from mmsegmentation."""

from __future__ import annotations

import torch
from segmentation_models_pytorch.decoders.deeplabv3.decoder import ASPP, SeparableConv2d
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from maskzoo.models.architectures.deeplabv3 import DeepLabV3
from maskzoo.models.architectures.deeplabv3plus import DeepLabV3Plus
from maskzoo.models.network.decoder import DecoderSetup
from maskzoo.models.network.layers import Classifier, SeparableConv
from maskzoo.models.plugins.aspp import AtrousPyramid

STRIDES = (1, 2, 4, 8, 16, 16)


def shuffled(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.2)
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight, 1, 0.2)
            nn.init.normal_(part.bias, 0, 0.2)
    return module.double().eval()


def leaves(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if any(True for _ in part.parameters(recurse=False))]


def copy_weights(ours: list[nn.Module], theirs: list[nn.Module]) -> None:
    for target, source in zip(ours, theirs, strict=True):
        target.load_state_dict(source.state_dict())


def copy_pyramid(ours: AtrousPyramid, theirs: nn.Module, width: int) -> None:
    """Copy an ASPP that puts the image mean last; ours puts it first."""
    *branches, pool = theirs.convs
    copy_weights(leaves(ours.branches), [leaf for branch in branches for leaf in leaves(branch)])
    copy_weights(leaves(ours.pool), leaves(pool))
    copy_weights(leaves(ours.project), leaves(theirs.project))
    with torch.no_grad():
        ours.project.conv.weight.copy_(theirs.project[0].weight.roll(width, dims=1))


def without_inner_norm(module: nn.Module) -> None:
    """Take norm and ReLU from the depth-wise convolutions, as smp has them."""
    for part in module.modules():
        if isinstance(part, SeparableConv):
            part.depthwise.norm = nn.Identity()
            part.depthwise.act = nn.Identity()


def test_the_variant_of_torchvision_equals_its_head():
    head = shuffled(DeepLabHead(20, 5))
    ours = DeepLabV3(
        DecoderSetup((3, 4, 8, 12, 16, 20), STRIDES, 5), rates=(12, 24, 36), variant="torchvision"
    )
    classifier = Classifier(256, 5)
    copy_pyramid(ours.aspp, head[0], 256)
    copy_weights(leaves(ours.refine), [head[1], head[2]])
    classifier.conv.load_state_dict(head[4].state_dict())
    x = torch.randn(2, 20, 13, 9, dtype=torch.float64)
    features = [Tensor()] * 5 + [x]
    with torch.no_grad():
        logits = classifier.double().eval()(ours.double().eval()(features))
        torch.testing.assert_close(logits, head(x))


def test_the_separable_pyramid_equals_smp_without_its_inner_norms():
    theirs = shuffled(ASPP(10, 6, (6, 12, 18), separable=True, dropout=0.0))
    ours = AtrousPyramid(10, out_channels=6, separable=True)
    without_inner_norm(ours)
    copy_pyramid(ours, theirs, 6)
    x = torch.randn(2, 10, 13, 9, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(x), theirs(x))


def test_the_refinement_of_v3plus_equals_smp_without_its_inner_norms():
    block = nn.Sequential(
        SeparableConv2d(12, 8, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU()
    )
    theirs = shuffled(block)
    ours = SeparableConv(12, 8)
    without_inner_norm(ours)
    copy_weights(leaves(ours), leaves(theirs))
    x = torch.randn(2, 12, 7, 9, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(ours.double().eval()(x), theirs(x))


def test_rates_span_the_same_pixels_at_every_output_stride():
    for stride, rates in {8: (12, 24, 36), 16: (6, 12, 18), 32: (3, 6, 9)}.items():
        strides = (1, 2, 4, 8, min(16, stride), stride)
        decoder = DeepLabV3(DecoderSetup((3, 4, 8, 12, 16, 20), strides, 2), channels=4)
        assert tuple(branch.conv.dilation[0] for branch in decoder.aspp.branches[1:]) == rates


def test_v3plus_has_the_papers_48_low_level_channels_from_stride_4():
    decoder = DeepLabV3Plus(DecoderSetup((3, 4, 8, 12, 16, 20), STRIDES, 2))
    assert decoder.low.conv.in_channels == 8
    assert decoder.low.conv.out_channels == 48
