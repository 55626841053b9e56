"""Predictor: one image in, one label map out, the same for validation, command line and server.

    decode -> plan -> resize, pad -> normalise -> engine -> resize logits, argmax, crop

The label map has the size of the upright image, whatever the network saw. A predictor holds no
state between calls: `segment` may run in many threads at once, and each gives what it would give
alone. Tiled prediction of huge images is a third `Mode` of `models.inference.resize` and a second
way through `_run`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.bundle import load_bundle
from models.engines import EagerEngine, Engine
from models.errors import ShapeError, UnknownNameError
from models.inference.decode import DEFAULT_MAX_PIXELS, ImageInfo, decode_image
from models.inference.postprocess import label_map, resize_logits
from models.inference.preprocess import to_batch, to_channels
from models.inference.resize import (
    DEFAULT_WHOLE_PIXELS,
    InputPlan,
    fit_to_plan,
    plan_input,
)
from models.inference.summary import class_shares
from models.labels import LabelSet
from models.preprocessing import Preprocessing

ENGINES = ("auto", "torch")


@dataclass(frozen=True)
class Segmentation:
    """What a predictor found in one image.

    Args:
        labels: class ids, uint8 (H, W), or uint16 for more than 256 classes.
        confidence: softmax of the chosen class, float16 (H, W); None where it was not asked for.
        label_set: names and colours of the ids.
        mode: ``whole`` or ``resize``.
        timings: seconds of ``decode``, ``preprocess``, ``network``, ``postprocess``.
        info: of the image file; None if an array was given.
    """

    labels: np.ndarray
    confidence: np.ndarray | None
    label_set: LabelSet
    mode: str
    timings: dict[str, float]
    info: ImageInfo | None = None

    def class_counts(self) -> np.ndarray:
        """Count the pixels of each class: int64 (K,)."""
        return class_shares(self.labels, self.label_set.num_classes)


class Predictor:
    """Segments images with one network.

    Args:
        network: an engine, or a network, which is moved to `device` and put into evaluation mode
            in place.
        labels: its classes.
        preprocessing: what its input looks like.
        device: ``cpu``, ``cuda``, ``cuda:1`` …, or ``auto``: CUDA if there is any. Not used for
            an engine, which has its own.
        max_pixels: the largest image that is decoded; None allows any.
        whole_pixels: the largest image that mode ``auto`` does not shrink.

    Raises:
        ShapeError: network, labels and preprocessing do not fit each other.
    """

    def __init__(
        self,
        network: nn.Module | Engine,
        labels: LabelSet,
        preprocessing: Preprocessing,
        *,
        device: str = "auto",
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        whole_pixels: int = DEFAULT_WHOLE_PIXELS,
    ) -> None:
        if isinstance(network, nn.Module):
            self.engine: Engine = EagerEngine(
                network,
                in_channels=len(preprocessing.mean),
                num_classes=labels.num_classes,
                device=device,
            )
        else:
            self.engine = network
        if self.engine.in_channels != len(preprocessing.mean):
            raise ShapeError(
                f"the network takes {self.engine.in_channels} channels and the preprocessing has "
                f"{len(preprocessing.mean)} means; they must match"
            )
        self.labels = labels
        self.preprocessing = preprocessing
        self.max_pixels = max_pixels
        self.whole_pixels = whole_pixels

    @classmethod
    def from_bundle(
        cls,
        path: Path,
        *,
        engine: str = "auto",
        device: str = "auto",
        max_pixels: int | None = DEFAULT_MAX_PIXELS,
        whole_pixels: int = DEFAULT_WHOLE_PIXELS,
    ) -> Predictor:
        """Load the bundle in folder `path`.

        Raises:
            BundleError: it is incomplete, damaged or of a newer schema.
            UnknownNameError: there is no such engine or device.
        """
        if engine not in ENGINES:
            raise UnknownNameError("engine", engine, ENGINES)
        bundle = load_bundle(path)
        runner = EagerEngine.of(bundle.network, bundle.manifest.spec, device)
        return cls(
            runner,
            bundle.manifest.labels,
            bundle.manifest.preprocessing,
            max_pixels=max_pixels,
            whole_pixels=whole_pixels,
        )

    def segment(
        self,
        image: np.ndarray | Path | bytes,
        *,
        mode: str = "auto",
        confidence: bool = True,
        max_side: int | None = None,
    ) -> Segmentation:
        """Segment one image.

        Args:
            image: upright uint8 (H, W, 3) RGB, or an image file as a path or as bytes.
            mode: ``auto``, ``whole`` or ``resize``; see `models.inference.resize.plan_input`.
            confidence: whether to compute it.
            max_side: for this image in place of the bundle's.

        Raises:
            ImageError: the file cannot be read.
            ShapeError: the array is no uint8 (H, W, 3).
            UnknownNameError: there is no such mode.
        """
        clock = _Clock()
        info = None
        if not isinstance(image, np.ndarray):
            decoded = decode_image(image, max_pixels=self.max_pixels)
            image, info = decoded.pixels, decoded.info
        clock.stop("decode")
        batch, plan = self._prepare(image, mode, max_side)
        clock.stop("preprocess")
        logits = self._run(batch)[0]
        clock.stop("network")
        labels, shares = label_map(logits, plan.covered, plan.image, confidence=confidence)
        clock.stop("postprocess")
        return Segmentation(labels, shares, self.labels, plan.mode, clock.timings, info)

    def segment_many(
        self,
        images: Sequence[np.ndarray],
        *,
        mode: str = "auto",
        confidence: bool = True,
        max_side: int | None = None,
    ) -> list[Segmentation]:
        """Segment images whose `input_size` is the same in one run of the network.

        The timings of each are those of the whole batch.

        Raises:
            ShapeError: an array is no uint8 (H, W, 3), or the inputs differ in size.
        """
        clock = _Clock()
        prepared = [self._prepare(image, mode, max_side) for image in images]
        sizes = {plan.padded for _, plan in prepared}
        if len(sizes) != 1:
            raise ShapeError(f"inputs of sizes {sorted(sizes)}; a batch takes one size")
        clock.stop("preprocess")
        logits = self._run(torch.cat([batch for batch, _ in prepared]))
        clock.stop("network")
        maps = [
            label_map(one, plan.covered, plan.image, confidence=confidence)
            for one, (_, plan) in zip(logits, prepared, strict=True)
        ]
        clock.stop("postprocess")
        return [
            Segmentation(labels, shares, self.labels, plan.mode, clock.timings)
            for (labels, shares), (_, plan) in zip(maps, prepared, strict=True)
        ]

    def input_size(
        self, image: tuple[int, int], *, mode: str = "auto", max_side: int | None = None
    ) -> tuple[int, int]:
        """Return the (height, width) at which the network sees an image of that size."""
        return self._plan(image, mode, max_side).padded

    def logits(
        self, image: np.ndarray, *, mode: str = "auto", max_side: int | None = None
    ) -> np.ndarray:
        """Return the float32 logits (K, H, W) of an upright uint8 (H, W, 3) RGB image."""
        batch, plan = self._prepare(image, mode, max_side)
        return resize_logits(self._run(batch)[0], plan.covered, plan.image)

    def _plan(self, image: tuple[int, int], mode: str, max_side: int | None) -> InputPlan:
        return plan_input(
            image,
            mode,
            max_side=max_side or self.preprocessing.max_side,
            whole_pixels=self.whole_pixels,
        )

    def _prepare(
        self, pixels: np.ndarray, mode: str, max_side: int | None = None
    ) -> tuple[Tensor, InputPlan]:
        pixels = to_channels(pixels, self.engine.in_channels)
        plan = self._plan((pixels.shape[0], pixels.shape[1]), mode, max_side)
        return to_batch(fit_to_plan(pixels, plan), self.preprocessing, self.engine.device), plan

    def _run(self, batch: Tensor) -> Tensor:
        logits = self.engine.run(batch)  # (N, K, h, w)
        if logits.shape[1] != self.labels.num_classes:
            raise ShapeError(
                f"the network gives {logits.shape[1]} classes and the label set has "
                f"{self.labels.num_classes}; they must match"
            )
        if logits.is_cuda:
            torch.cuda.synchronize(logits.device)
        return logits


class _Clock:
    """Seconds between stops, by name."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def stop(self, name: str) -> None:
        now = time.perf_counter()
        self.timings[name] = now - self._last
        self._last = now
