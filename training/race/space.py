"""What candidates are made of, and how the time of a race is shared out.

Source: Jamieson and Talwalkar, AISTATS 2016, https://arxiv.org/abs/1502.07943 (successive halving)
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

KEYS = ("architecture", "encoder", "plugins")
KEEP = 3  # one of so many goes on
_OVERHEAD = 0.85  # of the time is for training; the rest for reading, building, saving
_ARCHITECTURES = (
    *("unet", "deeplabv3plus", "fpn", "danet", "pspnet", "upernet", "segformer", "ocrnet"),
    *("linknet", "pan", "manet", "emanet"),
)
_ENCODERS = {
    "cpu": ("resnet18", "resnet34", "mobilenet_v2"),
    "cuda": ("resnet34", "resnet50", "tu-convnext_tiny"),
    "mps": ("resnet18", "resnet34", "mobilenet_v2"),
}
_PLUGINS = ("", "scse@decoder", "cbam@encoder.5", "eca@encoder.*")


@dataclass(frozen=True)
class Space:
    """What candidates are made of; several plug-ins in one candidate are joined by a blank."""

    architectures: tuple[str, ...]
    encoders: tuple[str, ...]
    plugins: tuple[str, ...]

    @classmethod
    def of(
        cls, architectures: Sequence[str], encoders: Sequence[str], plugins: Sequence[str]
    ) -> Space:
        """Take what is given, and the usual for this machine where nothing is."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(
            tuple(architectures) or _ARCHITECTURES,
            tuple(encoders) or _ENCODERS[device],
            tuple(plugins) or _PLUGINS,
        )

    def draw(self, count: int, *, seed: int) -> list[dict[str, str]]:
        """Draw different candidates: each architecture once before any comes twice."""
        source = random.Random(seed)
        queues = []
        for architecture in source.sample(self.architectures, len(self.architectures)):
            rest = list(itertools.product(self.encoders, self.plugins))
            queues.append([(architecture, *pair) for pair in source.sample(rest, len(rest))])
        turns = itertools.zip_longest(*queues)
        drawn = [row for turn in turns for row in turn if row is not None][:count]
        return [dict(zip(KEYS, row, strict=True)) for row in drawn]


def rounds(count: int) -> list[int]:
    """Return how many candidates are in each round: 9, 3, 1."""
    sizes = [count]
    while sizes[-1] > 1:
        sizes.append(max(1, sizes[-1] // KEEP))
    return sizes


def fractions(num_rounds: int) -> list[float]:
    """Return the share of its run that a candidate has done after each round."""
    return [KEEP ** (place - num_rounds + 1) for place in range(num_rounds)]


def full_seconds(minutes: float, count: int) -> float:
    """Return how long one whole run may take so that the race takes `minutes`."""
    shares = fractions(len(rounds(count)))
    cost = sum(
        size * (share - before)
        for size, share, before in zip(rounds(count), shares, [0.0, *shares], strict=False)
    )
    return 60 * minutes * _OVERHEAD / cost
