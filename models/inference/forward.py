"""One run of the network: images and their plans in, checked logits out.

    resize, pad -> normalise -> engine, once for each view -> check that logits are finite

Letters: N batch, C channels, H W pixels of the network's input, K classes, h w the logits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from maskzoo.models.engines.base import Engine, MaskEngine, MaskRow, ScoreEngine
from maskzoo.models.engines.pixels import network_input, to_channels
from maskzoo.models.errors import NotFiniteError, ShapeError
from maskzoo.models.inference.batching import image_bytes, images_per_run
from maskzoo.models.inference.resize import InputPlan, fit_to_plan
from maskzoo.models.inference.segmentation import Clock
from maskzoo.models.inference.tta import Tta
from maskzoo.models.preprocessing import Preprocessing


@dataclass(frozen=True)
class FinishedRun:
    """The logits of images that ran together.

    Args:
        part: the images' positions in the batch.
        logits: float32 (N, K, h, w), all of them finite.
        clock: with the seconds of ``preprocess`` and ``network``.
    """

    part: slice
    logits: Tensor
    clock: Clock


@dataclass(frozen=True)
class FinishedMasks:
    """The masks of images that ran together on an engine that gives masks.

    Args:
        part: the images' positions in the batch.
        clock: with the seconds of ``preprocess`` and ``network``.
    """

    part: slice
    masks: list[MaskRow]
    clock: Clock


@dataclass(frozen=True)
class Forward:
    """Runs an engine on images whose inputs have one size, as many at a time as fit into memory.

    Args:
        num_classes: that the logits must have.
        batch_bytes: as in `models.inference.batching`.
    """

    engine: Engine
    preprocessing: Preprocessing
    num_classes: int
    batch_bytes: int

    def runs(
        self, images: Sequence[np.ndarray], plans: Sequence[InputPlan], views: Tta
    ) -> Iterator[FinishedRun]:
        """Yield the logits of uint8 (H, W, 3) images, or of bands, in order.

        Raises:
            ShapeError: the network gives another number of classes.
            NotFiniteError: the logits of an image are not finite; the message names the image.
        """
        largest = max(views.scales)
        height, width = plans[0].padded
        count = images_per_run((round(height * largest), round(width * largest)), self.batch_bytes)
        for first in range(0, len(images), count):
            part, clock = slice(first, first + count), Clock()
            pairs = zip(images[part], plans[part], strict=True)
            batch = self._input([self._fit(image, plan) for image, plan in pairs], views)
            clock.stop("preprocess")
            logits = self._run(batch, views)
            self._check_finite(logits, first=first, total=len(images))
            clock.stop("network")
            yield FinishedRun(part, logits, clock)

    def run_bytes(self, size: tuple[int, int]) -> int:
        """Return the estimated memory of one run on an input of that (height, width)."""
        engine = self.engine
        holds_scores = isinstance(engine, ScoreEngine) and engine.holds_scores
        return image_bytes(size, holds_scores=holds_scores)

    def gives_masks(self, plans: Sequence[InputPlan], views: Tta) -> bool:
        """Tell whether the engine takes these images to masks without the logits' leaving it."""
        return (
            isinstance(self.engine, MaskEngine)
            and views.num_views == 1
            and not views.resizes
            and self.engine.num_classes == self.num_classes
            and all(plan.image == plan.scaled == plan.padded for plan in plans)
        )

    def masks(
        self, images: Sequence[np.ndarray], plans: Sequence[InputPlan], *, confidence: bool
    ) -> Iterator[FinishedMasks]:
        """Yield the masks of uint8 images, RGB or of bands, for which `gives_masks`, in order.

        Raises:
            NotFiniteError: the logits of an image are not finite; the message names the image.
        """
        assert isinstance(self.engine, MaskEngine)
        count = max(1, self.engine.run_bytes // self.run_bytes(plans[0].padded))
        for first in range(0, len(images), count):
            part, clock = slice(first, first + count), Clock()
            pairs = zip(images[part], plans[part], strict=True)
            pixels = [self._fit(image, plan) for image, plan in pairs]
            clock.stop("preprocess")
            rows = self.engine.masks(pixels, confidence=confidence)
            self._require_finite([row.is_finite for row in rows], first=first, total=len(images))
            clock.stop("network")
            yield FinishedMasks(part, rows, clock)

    def _fit(self, pixels: np.ndarray, plan: InputPlan) -> np.ndarray:
        """Return uint8 (H, W, C) at the size of the network's input."""
        return fit_to_plan(
            to_channels(pixels, self.engine.in_channels, self.preprocessing.bands), plan
        )

    def _input(self, images: Sequence[np.ndarray], views: Tta) -> Tensor:
        as_pixels = self.engine.takes_pixels and not views.resizes
        return network_input(images, self.preprocessing, self.engine.device, as_pixels=as_pixels)

    def _run(self, batch: Tensor, views: Tta) -> Tensor:
        logits = views.run(self.engine.run, batch)  # (N, K, h, w)
        if logits.shape[1] != self.num_classes:
            raise ShapeError(
                f"the network gives {logits.shape[1]} classes and the label set has "
                f"{self.num_classes}; they must match"
            )
        if logits.is_cuda:
            torch.cuda.current_stream(logits.device).synchronize()  # not those of other threads
        return logits

    def _check_finite(self, logits: Tensor, *, first: int, total: int) -> None:
        """Raise an error for logits (N, K, h, w) that are not finite.

        Args:
            first: index of the first image in its batch.
            total: images of the batch.
        """
        # NaN and infinities show in the extremes, in a tenth of the time of isfinite() on all
        # values.
        lowest, highest = logits.amin((1, 2, 3)), logits.amax((1, 2, 3))
        are_finite = (lowest.isfinite() & highest.isfinite()).tolist()
        self._require_finite(are_finite, first=first, total=total)

    def _require_finite(self, are_finite: list[bool], *, first: int, total: int) -> None:
        if not all(are_finite):
            item = f"{first + are_finite.index(False) + 1} of {total}" if total > 1 else None
            raise NotFiniteError(self.engine.name, self.engine.precision, item)
