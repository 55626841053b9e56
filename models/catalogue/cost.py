"""The cost of a network: parameters and multiply-accumulates of each layer.

Torch's own `FlopCounterMode` counts while the network runs once on fake tensors, which have shapes
but no storage; one multiply-accumulate (MAC) is two of its operations. Convolutions, matrix
products and attention are counted; element-wise work is not, as in the papers' tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torchvision.ops  # noqa: F401  # registers its deformable convolution, counted below
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

import maskzoo.models.network.attention  # noqa: F401  # registers its operator, counted below
from maskzoo.models.network.network import SegmentationNetwork


@dataclass(frozen=True)
class LayerCost:
    """One module of a network.

    Attributes:
        name: its dotted name.
        kind: its class.
        depth: of nesting; 0 is the network.
        shape: of its output, (N, C, H, W); None if it did not run.
        parameters: in it and below it.
        macs: multiply-accumulates in it and below it, for one image.
    """

    name: str
    kind: str
    depth: int
    shape: tuple[int, ...] | None
    parameters: int
    macs: int

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data."""
        return asdict(self)


def measure_cost(network: SegmentationNetwork, size: tuple[int, int] = (512, 512)) -> LayerCost:
    """Return the whole network's cost in evaluation, on one image of `size` (height, width)."""
    return measure_layers(network, size, depth=0)[0]


def measure_layers(
    network: SegmentationNetwork, size: tuple[int, int] = (512, 512), *, depth: int = 2
) -> list[LayerCost]:
    """Return the cost of every module down to `depth`, in the order of the network.

    A module that is used at several places is counted at each of them, its parameters once.
    """
    names = {module: name for name, module in network.named_modules()}
    shapes: dict[str, tuple[int, ...]] = {}

    def note(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            shapes[names[module]] = tuple(output.shape)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    modes = {module: module.training for module in network.modules()}
    counter = FlopCounterMode(display=False, custom_mapping=_FORMULAS)
    try:
        with torch.inference_mode(), FakeTensorMode(allow_non_fake_inputs=True), counter:
            network.eval()(torch.zeros(1, network.spec.in_channels, *size))
    finally:
        for module, training in modes.items():
            module.training = training
        for hook in hooks:
            hook.remove()
    flops = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    root = type(network).__name__
    return [
        LayerCost(
            name=name,
            kind=type(module).__name__,
            depth=name.count(".") + bool(name),
            shape=shapes.get(name),
            parameters=sum(parameter.numel() for parameter in module.parameters()),
            macs=flops.get(f"{root}.{name}" if name else "Global", 0) // 2,
        )
        for name, module in network.named_modules()
        if name.count(".") + bool(name) <= depth
    ]


def _attention_flops(
    query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any
) -> int:
    """Two products, L x M x D and L x M x V, at two operations each."""
    batch, width, length = query
    return 2 * batch * length * key[-1] * (width + value[1])


def _deformable_flops(
    x: Sequence[int], weight: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any
) -> int:
    """Operations of the convolution itself; its bilinear sampling counts as element-wise work."""
    out_channels, in_channels, height, width = weight
    return 2 * x[0] * out_channels * in_channels * height * width * out_shape[2] * out_shape[3]


_FORMULAS = {
    torch.ops.maskzoo.attention: _attention_flops,
    torch.ops.torchvision.deform_conv2d: _deformable_flops,
}
