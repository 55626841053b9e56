"""Folded batch norms compute the same, in every architecture."""

from __future__ import annotations

import copy

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from maskzoo.models.engines.graphs.folding import fold_batch_norms
from maskzoo.models.tables.architectures import ARCHITECTURES
from tests.models import tiny


def seen(network: nn.Module) -> nn.Module:
    """Return the network in evaluation mode, its batch norms with statistics as after training."""
    generator = torch.Generator().manual_seed(3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.running_mean, module.weight, module.bias, module.running_var):
                values.data.copy_(torch.rand(values.shape, generator=generator) + 0.3)
    return network.eval()


def folded(network: nn.Module, example: Tensor) -> tuple[nn.Module, int]:
    copied = copy.deepcopy(network)
    return copied, fold_batch_norms(copied, lambda: copied(example))


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_folding_changes_no_logit_of_any_architecture(name: str) -> None:
    network = seen(tiny.build(name)).double()
    example = torch.randn(2, 3, 96, 128, dtype=torch.float64)
    after, count = folded(network, example)
    assert count > 10
    assert norms(after) == norms(network) - count
    with torch.no_grad():
        for shape in ((1, 3, 64, 80), (3, 3, 97, 61)):  # not the sizes of the example
            x = torch.randn(shape, dtype=torch.float64)
            wanted = network(x)
            scale = float(wanted.abs().max())
            torch.testing.assert_close(after(x) / scale, wanted / scale, rtol=0, atol=1e-11)


@pytest.mark.parametrize("encoder", ["tu-mobilenetv3_small_050", "tu-tf_efficientnet_lite0"])
def test_folding_keeps_norms_with_an_activation_and_same_padding(encoder: str) -> None:
    network = tiny.build("unet", encoder=encoder, encoder_options={})
    network = seen(network).double()
    example = torch.randn(1, 3, 64, 64, dtype=torch.float64)
    after, count = folded(network, example)
    assert count > 20
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(after(x), network(x), rtol=1e-9, atol=1e-9)


class Small(nn.Module):
    """A convolution and its norm, used as `way` says."""

    def __init__(self, way: str, convolution: nn.Module | None = None) -> None:
        super().__init__()
        self.way = way
        self.convolution = convolution or nn.Conv2d(3, 4, 3, bias=False)
        self.norm = BatchNormAct2d(4) if way == "act" else nn.BatchNorm2d(4)
        self.twin = nn.Conv2d(3, 4, 3, bias=False)
        if way == "tied":
            self.twin.weight = self.convolution.weight

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.convolution(x)
        output: Tensor = self.norm(made)
        if self.way == "skip":
            output = output + made
        if self.way == "twice":
            output = output + self.norm(self.convolution(x.flip(3)))
        if self.way == "tied":
            output = output + self.twin(x)
        return output


@pytest.mark.parametrize(
    ("way", "count"), [("plain", 1), ("act", 1), ("skip", 0), ("twice", 0), ("tied", 0)]
)
def test_only_a_norm_that_alone_uses_a_convolution_is_folded(way: str, count: int) -> None:
    torch.manual_seed(0)
    network = seen(Small(way)).double()
    x = torch.randn(2, 3, 8, 9, dtype=torch.float64)
    after, found = folded(network, x)
    assert found == count
    torch.testing.assert_close(after(x), network(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
def test_transposed_convolutions_are_folded_too(groups: int) -> None:
    torch.manual_seed(0)
    transposed = nn.ConvTranspose2d(4 if groups == 2 else 3, 4, 3, stride=2, groups=groups)
    network = seen(Small("plain", transposed)).double()
    x = torch.randn(2, 4 if groups == 2 else 3, 5, 6, dtype=torch.float64)
    after, count = folded(network, x)
    assert count == 1
    torch.testing.assert_close(after(x), network(x), rtol=1e-12, atol=1e-12)


class Standardised(nn.Conv2d):
    """A convolution whose stored weight is not what it convolves with."""

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight / self.weight.std()
        return nn.functional.conv2d(x, weight, self.bias)


def test_a_convolution_that_derives_its_weight_is_left_alone() -> None:
    network = seen(Small("plain", Standardised(3, 4, 3)))
    _, count = folded(network, torch.randn(1, 3, 8, 8))
    assert count == 0
