"""The space that candidates are drawn from, and the rounds of a race.

Source: Jamieson and Talwalkar, AISTATS 2016, https://arxiv.org/abs/1502.07943 (successive halving)
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from maskzoo.training.race.candidate import Combination

KEEP = 3
"""One of so many candidates goes on to the next round."""

_ARCHITECTURES = (
    "unet",
    "deeplabv3plus",
    "fpn",
    "danet",
    "pspnet",
    "upernet",
    "segformer",
    "ocrnet",
    "linknet",
    "pan",
    "manet",
    "emanet",
)
_ENCODERS = {
    "cpu": ("tu-tf_efficientnet_lite0", "tu-mobilenetv2_100", "resnet18"),
    "cuda": ("resnet34", "resnet50", "tu-convnext_tiny"),
}
_PLUGINS = ("", "scse@decoder", "cbam@encoder.5", "eca@encoder.*")


@dataclass(frozen=True)
class Space:
    """The choices for candidates; several plug-ins of one candidate are joined by a space."""

    architectures: tuple[str, ...]
    encoders: tuple[str, ...]
    plugins: tuple[str, ...]

    @classmethod
    def of(
        cls, architectures: Sequence[str], encoders: Sequence[str], plugins: Sequence[str]
    ) -> Space:
        """Return the space of the given choices; empty ones get the defaults for this machine."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(
            tuple(architectures) or _ARCHITECTURES,
            tuple(encoders) or _ENCODERS[device],
            tuple(plugins) or _PLUGINS,
        )

    def draw(self, count: int, *, seed: int) -> list[Combination]:
        """Draw distinct combinations: each architecture once before any is repeated."""
        source = random.Random(seed)
        queues = []
        for architecture in source.sample(self.architectures, len(self.architectures)):
            rest = list(itertools.product(self.encoders, self.plugins))
            queues.append(
                [
                    Combination(architecture, encoder, plugins)
                    for encoder, plugins in source.sample(rest, len(rest))
                ]
            )
        turns = itertools.zip_longest(*queues)
        return [one for turn in turns for one in turn if one is not None][:count]


def rounds(count: int) -> list[int]:
    """Return the number of candidates in each round: 9, 3, 1."""
    sizes = [count]
    while sizes[-1] > 1:
        sizes.append(max(1, sizes[-1] // KEEP))
    return sizes


def fractions(num_rounds: int) -> list[float]:
    """Return the fraction of its run that a candidate has done after each round."""
    return [KEEP ** (place - num_rounds + 1) for place in range(num_rounds)]
