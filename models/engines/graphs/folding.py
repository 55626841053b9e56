"""Batch norms folded into the convolutions before them.

    bn(conv(x)) = gamma / sqrt(var + eps) * (W x + b - mean) + beta,   one convolution again

Which batch norm follows which convolution is observed in a run of the network, not read from its
code: the norm's input is the tensor that the convolution returned, and nothing else uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from maskzoo.models.network.layers import BatchNorm2d
from maskzoo.models.network.same_padding import IntegerConv2dSame

PLAIN_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, Conv2dSame, IntegerConv2dSame)
"""Exactly these types convolve by their weight as it is stored; others may derive one from it."""
_NORMS = (nn.BatchNorm2d, BatchNorm2d, BatchNormAct2d)
_READS_SHAPE = {"__get__", "size", "dim", "numel", "stride", "is_contiguous"}


def fold_batch_norms(network: nn.Module, run: Callable[[], object]) -> int:
    """Fold what can be folded, in place; return the number of batch norms that are gone.

    Args:
        network: in evaluation mode.
        run: runs the network once, at any size.
    """
    pairs = _observe(network, run)
    replacements: dict[nn.Module, nn.Module] = {}
    for convolution, norm in pairs:
        _fold(convolution, norm)
        kept = [norm.drop, norm.act] if isinstance(norm, BatchNormAct2d) else []
        replacements[norm] = nn.Sequential(*kept) if kept else nn.Identity()
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if child in replacements:
                setattr(parent, name, replacements[child])
    return len(pairs)


class _Uses(TorchFunctionMode):
    """Counts the calls of torch's functions that take a tensor, by the tensor's id."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[int] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Count the arguments and call the function."""
        if getattr(func, "__name__", "") not in _READS_SHAPE:
            leaves = tree_leaves((args, kwargs))
            self.counts.update({id(leaf) for leaf in leaves if isinstance(leaf, Tensor)})
        return func(*args, **(kwargs or {}))


def _observe(
    network: nn.Module, run: Callable[[], object]
) -> list[tuple[nn.Module, nn.BatchNorm2d]]:
    """Return the pairs of convolution and batch norm that may become one."""
    results: dict[nn.Module, list[Tensor]] = {}
    inputs: dict[nn.BatchNorm2d, list[Tensor]] = {}
    uses = _Uses()

    def note_result(module: nn.Module, _: object, output: Tensor) -> None:
        results.setdefault(module, []).append(output)  # kept alive, so its id stays its own
        uses.counts[id(output)] = 0  # what had this id before is gone

    def note_input(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        inputs.setdefault(module, []).append(given[0])

    hooks = []
    for module in network.modules():
        if type(module) in PLAIN_CONVOLUTIONS:
            hooks.append(module.register_forward_hook(note_result))
        elif type(module) in _NORMS:
            hooks.append(module.register_forward_pre_hook(note_input))
    try:
        with torch.no_grad(), uses:
            run()
    finally:
        for hook in hooks:
            hook.remove()
    owners = Counter(id(one) for part in network.modules() for one in part._parameters.values())
    makers = {id(made[0]): module for module, made in results.items() if len(made) == 1}
    pairs = []
    for norm, given in inputs.items():
        maker = makers.get(id(given[0])) if len(given) == 1 else None
        if maker is None or uses.counts[id(given[0])] != 1 or norm.running_mean is None:
            continue
        if owners[id(maker.weight)] == 1 and not nn.utils.parametrize.is_parametrized(maker):
            pairs.append((maker, norm))
    return pairs


def _fold(convolution: nn.Module, norm: nn.BatchNorm2d) -> None:
    """Scale the weights and set the bias; computed in float64, kept in the weights' type."""
    assert isinstance(convolution, (nn.Conv2d, nn.ConvTranspose2d))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight, groups = convolution.weight.double(), convolution.groups
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -norm.running_mean.double() * scale
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    if convolution.bias is not None:
        shift = shift + convolution.bias.double() * scale
    if isinstance(convolution, nn.ConvTranspose2d):  # (in, out / groups, h, w)
        of_groups = weight.unflatten(0, (groups, -1))
        scaled = (of_groups * scale.view(groups, 1, -1, 1, 1)).flatten(0, 1)
    else:  # (out, in / groups, h, w)
        scaled = weight * scale.view(-1, 1, 1, 1)
    dtype = convolution.weight.dtype
    convolution.weight = nn.Parameter(scaled.detach().to(dtype), requires_grad=False)
    convolution.bias = nn.Parameter(shift.detach().to(dtype), requires_grad=False)
