"""Tiny networks for the contracts: a ResNet of one block a stage and 8 or 16 channels."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from maskzoo.models.bundles.bundle import save_bundle
from maskzoo.models.labels import LabelSet
from maskzoo.models.network.network import SegmentationNetwork, TrainOutput
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import create_model

CLASSES = 3
PREPROCESSING = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
ENCODER = {"channels": [8, 8, 16, 16], "stem_width": 4, "layers": [1, 1, 1, 1]}

# Options that make an architecture tiny; those without an entry follow the encoder's width.
OPTIONS: dict[str, dict[str, object]] = {
    "attention_unet": {"channels": [8, 8, 8, 8]},
    "bisenetv2": {
        "detail_channels": [4, 4, 8],
        "head_channels": 8,
        "auxiliary_widths": [4, 4, 4, 4],
    },
    "ddrnet": {"channels": 4, "pyramid_channels": 4},
    "deeplabv3": {"channels": 8},
    "deeplabv3plus": {"channels": 8, "low_channels": 4},
    "denseaspp": {"growth": 4},
    "dpt": {"channels": 8},
    "fpn": {"pyramid_channels": 8, "channels": 8},
    "gcnet": {"channels": 16},  # its layer norm needs more than one channel
    "linknet": {"channels": 8},
    "lraspp": {"channels": 8},
    "manet": {"channels": [8, 8, 8, 8], "attention_channels": 4, "reduction": 2},
    "pidnet": {"channels": 4, "pyramid_channels": 4},
    "segformer": {"channels": 8},
    "segnext": {"channels": 8, "bases": 4, "steps": 2},
    "stdc": {"channels": 8, "fused_channels": 8, "auxiliary_head_channels": 4},
    "smp": {"widths": [8, 8, 8, 8, 8]},
    "unet": {"channels": [8, 8, 8, 8]},
    "unetplusplus": {"channels": [8, 8, 8, 8]},
}


def build(name: str, seed: int = 0, **options: object) -> SegmentationNetwork:
    """Return a tiny network of this architecture."""
    torch.manual_seed(seed)
    settings = {"encoder": "tu-resnet18", "encoder_options": ENCODER, "num_classes": CLASSES}
    return create_model(name, **(settings | OPTIONS.get(name, {}) | options))


def bundle(folder: Path, seed: int = 0) -> Path:
    """Return a tiny network's bundle, saved as `folder`."""
    labels = LabelSet.generic(CLASSES)
    network = build("unet", seed)
    return save_bundle(folder, network, name="tiny", labels=labels, preprocessing=PREPROCESSING)


def wake(network: SegmentationNetwork) -> SegmentationNetwork:
    """Move every parameter off its start, where zeros would hide a wrong branch."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def at_unit_scale(network: SegmentationNetwork) -> SegmentationNetwork:
    """Scale the classifier to logits of about 1, to which a tolerance of 1e-4 belongs."""
    with torch.no_grad():
        largest = network(torch.randn(1, network.spec.in_channels, 64, 80)).abs().max()
        for parameter in network.classifier.conv.parameters():
            parameter /= largest
    return network


def calmed(network: SegmentationNetwork, start: SegmentationNetwork) -> SegmentationNetwork:
    """Return a woken network at unit scale, brought back towards its start until it is no chaos.

    Twenty deformable convolutions in a row may multiply a rounding to the size of the logits: then
    nothing is left to compare. Halving the way from the start keeps every parameter off it.
    """
    woken, begun = copy.deepcopy(network.state_dict()), start.state_dict()
    for halvings in range(8):
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.copy_(begun[name] + (woken[name] - begun[name]) / 2**halvings)
        at_unit_scale(network)
        if moved_by_rounding(network, [(1, 3, 65, 97)]) < 1e-3:
            return network
    raise AssertionError("rounding moves the logits even next to the network's start")


def moved_by_rounding(network: SegmentationNetwork, shapes: Sequence[tuple[int, ...]]) -> float:
    """Return how far logits move when pixels move by 5e-6 of themselves, in double precision.

    That is some eighty roundings of float32. A network with ten plug-ins in it, its weights off
    their start, multiplies them: two right computations then differ by this much.
    """
    exact = copy.deepcopy(network).double()
    generator = torch.Generator().manual_seed(0)
    most = 0.0
    with torch.no_grad():
        for shape in shapes:
            x = torch.randn(shape, generator=generator, dtype=torch.float64)
            wanted = exact(x)
            for _ in range(4):
                noise = torch.randn(shape, generator=generator, dtype=torch.float64)
                most = max(most, float((exact(x * (1 + 5e-6 * noise)) - wanted).abs().max()))
    return most


def tensors(output: TrainOutput) -> Iterator[Tensor]:
    """Yield everything that a loss may see."""
    yield output.logits
    yield from output.aux.values()
    if output.scene is not None:
        yield output.scene
    if output.edges is not None:
        yield output.edges
    if output.points is not None:
        yield output.points.logits


def loss(output: TrainOutput) -> Tensor:
    """Return a loss that every output takes part in, with uneven weights."""
    torch.manual_seed(2)
    return sum((tensor * torch.randn_like(tensor)).sum() for tensor in tensors(output))


def unreached_parameters(
    network: SegmentationNetwork, size: tuple[int, int] = (64, 80)
) -> set[str]:
    """Return the trainable parameters whose gradient is missing or zero, for one batch."""
    loss(network.train().forward_train(torch.randn(2, 3, *size))).backward()
    return {
        key
        for key, parameter in network.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    }
