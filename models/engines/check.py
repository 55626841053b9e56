"""Check that an engine gives torch's classes, on a few images with stored label maps."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch

from maskzoo.models.engines.base import Engine
from maskzoo.models.engines.pixels import network_input
from maskzoo.models.errors import EngineError, NotFiniteError
from maskzoo.models.preprocessing import Preprocessing

LEAST_AGREEMENT = 0.999
"""Fraction of the check pixels that must have torch's class for an engine to be taken."""

_NO_CLASS = -1
_LARGEST_PART = 256
_SIZES = ((96, 128), (97, 61), (64, 64))


class CheckImages:
    """Check images with torch's classes for them, at the resolution of the logits.

    Args:
        pixels: uint8 (H, W, C), one for each image.
        label_maps: int16 (h, w), torch's class of each pixel.
    """

    def __init__(self, pixels: list[np.ndarray], label_maps: list[np.ndarray]) -> None:
        self.pixels = pixels
        self.label_maps = label_maps

    @classmethod
    def of(
        cls, torch_engine: Engine, preprocessing: Preprocessing, pixels: list[np.ndarray]
    ) -> CheckImages:
        """Compute torch's classes for the images.

        Raises:
            NotFiniteError: torch gives logits that are not finite, and so no class.
        """
        label_maps = [_label_map(torch_engine, one, preprocessing) for one in pixels]
        if any((one == _NO_CLASS).any() for one in label_maps):
            raise NotFiniteError(torch_engine.name, torch_engine.precision)
        return cls(pixels, label_maps)

    @classmethod
    def load(cls, path: Path) -> CheckImages:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            count = len(stored.files) // 2
            return cls(
                [stored[f"pixels_{index}"] for index in range(count)],
                [stored[f"labels_{index}"] for index in range(count)],
            )

    def save(self, path: Path) -> None:
        """Write images and classes to one compressed file."""
        arrays = {f"pixels_{index}": one for index, one in enumerate(self.pixels)}
        arrays |= {f"labels_{index}": one for index, one in enumerate(self.label_maps)}
        np.savez_compressed(path, allow_pickle=False, **arrays)

    def agreement(self, engine: Engine, preprocessing: Preprocessing) -> float:
        """Return the fraction of pixels, 0 to 1, with torch's class.

        A pixel whose logits are not finite has no class: it counts as a disagreement.

        Raises:
            EngineError: the engine fails on one of the images.
        """
        try:
            same = [
                _label_map(engine, pixels, preprocessing) == label_map
                for pixels, label_map in zip(self.pixels, self.label_maps, strict=True)
            ]
        except Exception as error:  # the runtimes' errors have no common base class
            raise EngineError(f"{engine.name} cannot run the check images: {error}") from error
        return float(np.concatenate([one.ravel() for one in same]).mean())


def central_part(pixels: np.ndarray) -> np.ndarray:
    """Return the central part of an image (H, W, C), at most 256 x 256, as a check image."""
    top, left = (max(0, side - _LARGEST_PART) // 2 for side in pixels.shape[:2])
    return pixels[top : top + _LARGEST_PART, left : left + _LARGEST_PART]


def generated_images(in_channels: int) -> list[np.ndarray]:
    """Return images of soft blobs and noise, of several sizes and contrasts; always the same."""
    random = np.random.default_rng(0)
    return [blobs(random, size, in_channels) for size in _SIZES]


def blobs(random: np.random.Generator, size: tuple[int, int], channels: int) -> np.ndarray:
    """Return an image uint8 (H, W, C) of soft blobs with some noise."""
    height, width = size
    coarse = random.uniform(0, 255, (height // 16, width // 16, channels)).astype(np.float32)
    soft = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = random.normal(0, random.uniform(2, 20), (height, width, channels))
    return np.clip(soft.reshape(height, width, channels) + noise, 0, 255).astype(np.uint8)


def _label_map(engine: Engine, pixels: np.ndarray, preprocessing: Preprocessing) -> np.ndarray:
    """Return the int16 (h, w) classes of the logits' argmax, `_NO_CLASS` where it means nothing."""
    as_pixels = engine.takes_pixels
    batch = network_input([pixels], preprocessing, engine.device, as_pixels=as_pixels)
    logits = engine.run(batch)[0]
    classes = logits.argmax(dim=0).to(torch.int16)
    classes[~logits.isfinite().all(dim=0)] = _NO_CLASS  # nan and infinity win every argmax
    return classes.cpu().numpy()
