"""Optimizers, learning-rate schedules and the running mean of the weights.

Everything here is a pure function of the step, so that a resumed run needs nothing but the
step number to have the same rate.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from models.network import SegmentationNetwork
from training.config import OptimizerConfig, ScheduleConfig, resolved


def parameter_groups(
    network: SegmentationNetwork, *, lr: float, head_lr_mult: float, weight_decay: float
) -> list[dict]:
    """Return up to four groups: encoder and head, each with and without weight decay.

    Norms and biases (everything of rank 0 or 1) are not decayed. The key `peak_lr` keeps the
    rate that the schedule scales.
    """
    groups = []
    for name, parameters in network.parameter_groups().items():
        rate = lr * (head_lr_mult if name == "head" else 1.0)
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        for decayed in (True, False):
            chosen = [parameter for parameter in trained if (parameter.ndim > 1) == decayed]
            if chosen:
                decay = weight_decay if decayed else 0.0
                groups.append(
                    {"params": chosen, "lr": rate, "peak_lr": rate, "weight_decay": decay}
                )
    return groups


def build_optimizer(network: SegmentationNetwork, config: OptimizerConfig) -> Optimizer:
    """Return the optimizer; `lr` and `head_lr_mult` must be resolved to numbers."""
    lr = resolved(config.lr)
    groups = parameter_groups(
        network,
        lr=lr,
        head_lr_mult=resolved(config.head_lr_mult),
        weight_decay=config.weight_decay,
    )
    if config.name == "sgd":
        return SGD(groups, lr=lr, momentum=config.momentum)
    return AdamW(groups, lr=lr, betas=config.betas)


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
    fall = (1 - done) ** config.power
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
        """Take in the weights after step number `step` (0-based)."""
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
