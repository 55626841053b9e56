"""The size at which the network sees an image, and the resize and padding to that size.

Sizes are (height, width).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np

from maskzoo.models.images.raster.bands import resize_bands
from maskzoo.models.inference.options import ChosenMode, Mode
from maskzoo.models.inference.tiles import TileGrid
from maskzoo.models.inference.tta import MIN_SIDE

DEFAULT_WHOLE_PIXELS = 2048 * 1024
"""The largest image that mode `auto` gives to the network in one piece."""


@dataclass(frozen=True)
class InputPlan:
    """The sizes of one image on its way to the network's input.

    Args:
        mode: ``whole``, ``resize`` or ``tiled``, after ``auto`` was decided.
        image: size of the image, and of the result.
        scaled: size after the resize; `image` if there is none.
        padded: size of the network's input; larger than `scaled` only for tiny images.
        tiles: the tiles in mode ``tiled``; else None.
    """

    mode: ChosenMode
    image: tuple[int, int]
    scaled: tuple[int, int]
    padded: tuple[int, int]
    tiles: TileGrid | None = None

    @property
    def covered(self) -> tuple[int, int]:
        """The area of the padded input, in pixels of the image; the image is its upper left."""
        return (
            round(self.padded[0] * self.image[0] / self.scaled[0]),
            round(self.padded[1] * self.image[1] / self.scaled[1]),
        )


def plan_input(
    image: tuple[int, int],
    mode: Mode,
    *,
    max_side: int | None = None,
    whole_pixels: int = DEFAULT_WHOLE_PIXELS,
) -> InputPlan:
    """Decide the size at which an image is segmented.

    ``whole`` keeps it. ``resize`` shrinks it, never enlarges it: to `max_side` on its longer side
    if the bundle has one, else to `whole_pixels` pixels. ``tiled`` keeps the size and takes the
    image in pieces.

    ``auto`` shows objects to the network at the size at which it was trained. With `max_side`, it
    was trained on images shrunk to that side, so a larger image is shrunk too. Without it, it was
    trained on crops of unresized images, so an image of more than `whole_pixels` is tiled.
    """
    height, width = image
    chosen = cast(ChosenMode, mode)
    if mode == "auto":
        chosen = _decide(image, max_side, whole_pixels)
    if max_side is not None:
        factor = max_side / max(image)
    else:
        factor = math.sqrt(whole_pixels / (height * width))
    scaled = image
    if chosen == "resize" and factor < 1:
        scaled = (max(1, round(height * factor)), max(1, round(width * factor)))
    padded = (max(MIN_SIDE, scaled[0]), max(MIN_SIDE, scaled[1]))
    return InputPlan(chosen, image, scaled, padded)


def _decide(image: tuple[int, int], max_side: int | None, whole_pixels: int) -> ChosenMode:
    if max_side is not None:
        return "resize" if max(image) > max_side else "whole"
    return "tiled" if image[0] * image[1] > whole_pixels else "whole"


def fit_to_plan(pixels: np.ndarray, plan: InputPlan) -> np.ndarray:
    """Resize and pad uint8 (H, W, C) to the network's input.

    Shrinking averages areas. Padding repeats the border, on the right and below.
    """
    if plan.scaled != plan.image:
        pixels = resize_bands(pixels, plan.scaled, cv2.INTER_AREA)
    below, right = plan.padded[0] - plan.scaled[0], plan.padded[1] - plan.scaled[1]
    if below or right:
        shape = (*plan.padded, pixels.shape[2])  # OpenCV drops the axis of a single channel
        pixels = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE)
        pixels = pixels.reshape(shape)
    return pixels
