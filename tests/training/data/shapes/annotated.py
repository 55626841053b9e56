"""Images for the tests of annotation formats, and the masks that a reader gives for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.opening import inspect
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.rawmask import RawMask
from maskzoo.training.data.records.shape import ListedImages

SIZE = (24, 32)


def write_images(folder: Path, number: int = 6, *, seed: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for place in range(number):
        pixels = rng.integers(0, 255, (*SIZE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{place}.png")


def drawn(listed: ListedImages | None, names: tuple[str, ...] = ("cat", "dog")) -> RawMask:
    """Return the mask of the first image that a file lists."""
    assert listed is not None
    return paint(listed.images[0][1], names, SIZE)


def boxes(*rows: tuple[int, int, int, int, int]) -> np.ndarray:
    """Return a mask of boxes (left, top, right, bottom, value)."""
    mask = np.zeros(SIZE, np.uint8)
    for left, top, right, bottom, value in rows:
        mask[top:bottom, left:right] = value
    return mask


def classes(root: Path) -> dict[str, int]:
    """Return the number of images of each class; the data set must be without errors."""
    found: Inspection = inspect(root)
    assert [problem.text(root) for problem in found.errors] == []
    return {row["name"]: row["images"] for row in found.to_json()["classes"]}
