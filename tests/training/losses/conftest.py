"""A small batch for losses, in float64, and its pixels for computations by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

IGNORE = 255


def _batch(seed: int = 0, classes: int = 3) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 3, 4, dtype=torch.float64, generator=random)
    target = torch.randint(0, classes + 1, (2, 3, 4), generator=random)
    return logits, torch.where(target == classes, IGNORE, target)


def _counted_rows(logits: Tensor, target: Tensor) -> list[tuple[list[float], int]]:
    probabilities = logits.softmax(1).permute(0, 2, 3, 1).reshape(-1, logits.shape[1]).tolist()
    pairs = zip(probabilities, target.flatten().tolist(), strict=True)
    return [pair for pair in pairs if pair[1] != IGNORE]


@pytest.fixture
def batch() -> Callable[..., tuple[Tensor, Tensor]]:
    """Return logits (2, K, 3, 4) and a target with ignored pixels: batch(seed=0, classes=3)."""
    return _batch


@pytest.fixture
def counted_rows() -> Callable[[Tensor, Tensor], list[tuple[list[float], int]]]:
    """Return (probabilities, truth) of each counted pixel, in order."""
    return _counted_rows
