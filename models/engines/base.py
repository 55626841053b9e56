"""The protocol between the predictor and the engine that computes logits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

EngineName = Literal["openvino", "onnxruntime"]
"""Runtimes that a bundle is exported for."""
Precision = Literal["fp32", "fp16", "int8"]
"""Of stored weights; a runtime may compute in another."""


@dataclass(frozen=True)
class EngineChoice:
    """The reason for an engine, and the precision of its weights.

    Args:
        reason: why this engine runs the bundle, in words.
        weights: precision of the stored weights: fp32, fp16, int8.
    """

    reason: str
    weights: str = "fp32"


class Engine(Protocol):
    """Runs one network on one device.

    `run` is called from several threads at once and must not depend on earlier calls.

    `name` and `precision` are for messages too: whoever refuses the logits names both.

    Attributes:
        name: of the library that computes, such as ``openvino``.
        takes_pixels: whether `run` takes uint8 pixels too, and normalises them itself.
        precision: of its computation, by torch's name: float32, bfloat16, float16.
        choice: set by `models.engines.choose`; None if the engine was built otherwise.
    """

    name: str
    device: torch.device
    in_channels: int
    num_classes: int
    takes_pixels: bool
    precision: str
    choice: EngineChoice | None

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits (N, K, h, w) for a batch (N, C, H, W).

        The batch is normalised float32 or, for an engine that takes pixels, uint8 as
        `models.engines.pixels.network_input` gives it.

        h and w may be smaller than H and W: the map then covers the same area, with the
        half-pixel convention (``align_corners=False``).
        """
        ...


@dataclass(frozen=True)
class MaskRow:
    """The mask of one image of a batch, on the host.

    Args:
        label_map: uint8 (H, W), or uint16 for more than 256 classes.
        confidence: float16 (H, W), or None if it was not requested.
        is_finite: whether all logits were finite; if not, the others mean nothing.
    """

    label_map: np.ndarray
    confidence: np.ndarray | None
    is_finite: bool


@runtime_checkable
class MaskEngine(Protocol):
    """An engine that takes whole images to masks on its device, beside `Engine.run`.

    Attributes:
        run_bytes: estimated memory that one run of several images may take there.
    """

    run_bytes: int

    def masks(self, images: Sequence[np.ndarray], *, confidence: bool = True) -> list[MaskRow]:
        """Return the masks of images uint8 (H, W, C) of one size, at that size."""
        ...

    def prepare(self, size: tuple[int, int], batches: Iterable[int]) -> None:
        """Do now what the first batches of that (height, width) would wait for."""
        ...


@runtime_checkable
class ScoreEngine(Protocol):
    """An engine that knows whether it holds the scores of attention between all positions."""

    holds_scores: bool
