"""Optimizers, learning-rate schedules and the running mean of the weights.

Rates are pure functions of the step, so a resumed run needs only the step number to have the same
rate.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import SGD, AdamW, Optimizer

from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.training.config.run_config import RunOptimizer
from maskzoo.training.config.settings import ScheduleConfig
from maskzoo.training.starts.frozen import freeze


def parameter_groups(
    network: SegmentationNetwork,
    *,
    lr: float,
    head_lr_mult: float,
    weight_decay: float,
    layer_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Return groups of weights with one rate and decay each; frozen weights are in none.

    Norms and biases (everything of rank 0 or 1) are not decayed. Parameters in
    `network.rate_factors` learn slower. The key `peak_lr` keeps the rate that the schedule scales.
    """
    groups: dict[tuple[str, float, bool], list[nn.Parameter]] = {}
    distances = block_distances(network)
    factors = network.rate_factors()
    for name, parameters in network.parameter_groups().items():
        for parameter in parameters:
            if parameter.requires_grad:
                distance = distances.get(id(parameter), 0)
                rate = lr * (head_lr_mult if name == "head" else layer_decay**distance)
                rate *= factors.get(id(parameter), 1.0)
                groups.setdefault((name, rate, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": chosen, "lr": rate, "peak_lr": rate, "weight_decay": weight_decay * decayed}
        for (_, rate, decayed), chosen in groups.items()
    ]


def block_distances(network: SegmentationNetwork) -> dict[int, int]:
    """Return the number of blocks behind each encoder weight's own, by the weight's id.

    A block is a group of weights that share a name up to its number, such as `layer3.5` or
    `blocks.11`; blocks are ordered as the encoder defines them.
    """
    own = {id(parameter) for parameter in network.encoder.pretrained_parameters()}
    blocks: dict[str, list[int]] = {}
    for name, parameter in network.encoder.body.named_parameters():
        if id(parameter) in own:
            words = name.split(".")[:-1]
            end = next((place for place, word in enumerate(words) if word.isdigit()), len(words))
            blocks.setdefault(".".join(words[: end + 1]), []).append(id(parameter))
    last = len(blocks) - 1
    return {key: last - place for place, keys in enumerate(blocks.values()) for key in keys}


def train_mode(network: nn.Module) -> None:
    """Put `network` into training mode; norms whose weights are frozen keep their statistics."""
    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            weights = list(module.parameters())
            if weights and not any(weight.requires_grad for weight in weights):
                module.eval()


def build_optimizer(network: SegmentationNetwork, config: RunOptimizer) -> Optimizer:
    """Return the optimizer.

    What `config.freeze` names no longer requires gradients.

    Raises:
        SpecError: the network has no part of such a name.
    """
    freeze(network, config.freeze)
    groups = parameter_groups(
        network,
        lr=config.lr,
        head_lr_mult=config.head_lr_mult,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
    )
    fused = all(group["params"][0].device.type in ("cpu", "cuda") for group in groups)
    if config.name == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, fused=fused)
    return AdamW(groups, lr=config.lr, betas=config.betas, fused=fused)


def lr_factor(step: int, total_steps: int, config: ScheduleConfig) -> float:
    """Return the factor on the peak rate for step 0 … total_steps - 1.

    `poly` and `cosine` rise linearly over the warm-up and fall to `final` over the rest.
    `onecycle` rises and falls along half cosines, from a 25th of the peak.
    """
    warmup = round(config.warmup * total_steps)
    if step < warmup:
        rise = (step + 1) / warmup
        if config.name == "onecycle":
            return 0.04 + 0.96 * (1 - math.cos(math.pi * rise)) / 2
        return rise
    done = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    fall: float = (1 - done) ** config.power
    if config.name != "poly":
        fall = (1 + math.cos(math.pi * done)) / 2
    return config.final + (1 - config.final) * fall


def set_lr(optimizer: Optimizer, factor: float) -> None:
    """Set the rate of each group to its peak times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


class WeightAverage:
    """Exponential moving average of weights and buffers (EMA).

    The decay grows with the steps, (1 + t) / (10 + t) up to `decay`, so that early averages are
    not the initial weights. Integer buffers are copied.
    """

    def __init__(self, network: SegmentationNetwork, *, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module, *, step: int) -> None:
        """Update the average with the weights after step `step` (0-based)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, current = _float_pairs(self.network, network)
        torch._foreach_lerp_(averages, current, 1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            if not mine.is_floating_point():
                mine.copy_(theirs)


def _float_pairs(first: nn.Module, second: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Return the floating-point parameters and buffers of two equal modules."""

    def tensors(module: nn.Module) -> Iterable[Tensor]:
        yield from module.parameters()
        yield from module.buffers()

    left = [tensor.data for tensor in tensors(first) if tensor.is_floating_point()]
    right = [tensor.data for tensor in tensors(second) if tensor.is_floating_point()]
    return left, right
