"""The learning-rate range test: raises the rate step by step until the loss diverges.

Paper: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017,
       https://arxiv.org/abs/1506.01186, section 3.3
The rate rises by a constant factor over four decades around the rule of thumb. The loss,
smoothed, first falls and then rises; the test chooses a tenth of the rate at the lowest loss, since
the lowest point is already at the edge. A single batch can move that point, so the result is kept
within a factor of five of the rule of thumb.

The test trains a copy of the network on its own samples and seeds each step as a run does: it is a
function of the seed, and only the rate remains of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.optim import Optimizer

from maskzoo.training.steps.step import TrainStep

MAX_STEPS = 80
_FRACTION = 0.04  # of the run's steps that the test may take
_FEWEST = 30  # steps, below which the curve is mostly noise
_DECADES = 4.0
_BOUND = 5.0
_SMOOTHING = 0.85
_DIVERGED = 3.0  # times the lowest loss so far


@dataclass(frozen=True)
class RangeTest:
    """The curve of a range test, and the chosen rate.

    Attributes:
        rates, losses: of each step; the losses are smoothed.
        lr: the chosen rate.
        why: the reason, in words.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    lr: float
    why: str


def range_test_steps(total_steps: int) -> int:
    """Return the number of test steps for a run of `total_steps`; 0 if a test is not worth it."""
    steps = min(MAX_STEPS, int(_FRACTION * total_steps))
    return steps if steps >= _FEWEST else 0


def run_range_test(
    step: TrainStep,
    optimizer: Optimizer,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    rule: float,
    steps: int,
    micro_batch: int,
    seed_of: Callable[[int], int],
) -> RangeTest:
    """Take `steps` steps with a rising rate.

    Args:
        step, optimizer: of a copy of the network; groups of the optimizer have `peak_lr` for a
            rate of `rule`.
        batches: at least `steps`, on the device.
        rule: the rule of thumb, in the middle of the range.
        micro_batch: images that go through the network at once.
        seed_of: the seed of the random numbers of a step.
    """
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    for number, (images, target) in zip(range(steps), batches, strict=False):
        factor = 10 ** (_DECADES * (number / max(1, steps - 1) - 0.5))
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * factor
        result = step(images, target, micro_batch=micro_batch, seed=seed_of(number))
        if not result.is_finite:
            break
        micro_batch = result.micro_batch
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * result.loss
        rates.append(rule * factor)
        losses.append(mean / (1 - _SMOOTHING ** (number + 1)))
        if losses[-1] > _DIVERGED * min(losses):
            break
    return choose_rate(rates, losses, rule=rule)


def choose_rate(rates: list[float], losses: list[float], *, rule: float) -> RangeTest:
    """Choose a rate from a curve; `rule` if the loss never fell."""
    if not losses or min(losses) > 0.99 * losses[0]:
        why = f"range test: the loss fell at no rate, so the rule of thumb {rule:g} is taken"
        return RangeTest(tuple(rates), tuple(losses), rule, why)
    lowest = losses.index(min(losses))
    wanted = rates[lowest] / 10
    kept = min(max(wanted, rule / _BOUND), rule * _BOUND)
    why = (
        f"range test: the loss fell from {losses[0]:.3g} to {losses[lowest]:.3g} at rate "
        f"{rates[lowest]:.2g}; a tenth of that"
    )
    if not math.isclose(kept, wanted):
        why += f", kept within a factor {_BOUND:g} of the rule of thumb {rule:g}"
    return RangeTest(tuple(rates), tuple(losses), float(f"{kept:.2g}"), why)
