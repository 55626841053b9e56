"""Builders of small data sets, one for each wart that real folders have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WriteImage = Callable[..., Path]
MakeFolder = Callable[..., Path]


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options: object) -> Path:
    """Write an array as an image, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    if mode is not None and image.mode != mode:
        image = image.convert(mode)
    image.save(path, **options)
    return path


@pytest.fixture
def write_image() -> WriteImage:
    """Write an array as an image: write_image(path, pixels, mode=None, **save_options)."""
    return save


@pytest.fixture
def photo() -> Callable[..., np.ndarray]:
    """Return a smooth random image: photo(number, height=24, width=32)."""

    def make(number: int, height: int = 24, width: int = 32) -> np.ndarray:
        rng = np.random.default_rng(number)
        small = rng.integers(0, 255, (6, 8, 3), np.uint8)
        return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))

    return make


@pytest.fixture
def make_folder(tmp_path: Path, photo: Callable[..., np.ndarray]) -> MakeFolder:
    """Write images + masks: make_folder(masks, layout="images/{split}", suffix="").

    `masks` maps "split/stem" (or "stem") to a mask array; images get random pixels of its size.
    """

    def make(masks: dict[str, np.ndarray], name: str = "set", **options: object) -> Path:
        root = tmp_path / name
        for number, (stem, mask) in enumerate(masks.items()):
            save(root / "images" / f"{stem}.png", photo(number, *mask.shape[:2]))
            save(root / "masks" / f"{stem}.png", mask, **options)
        return root

    return make


@pytest.fixture
def ids() -> Callable[..., np.ndarray]:
    """Return a mask of vertical stripes with the given values: ids(0, 1, 2)."""

    def make(*values: int, height: int = 24, width: int = 32) -> np.ndarray:
        stripes = np.repeat(values, -(-width // len(values)))[:width]
        return np.tile(np.asarray(stripes, np.uint8), (height, 1))

    return make


@pytest.fixture
def images(tmp_path: Path, write_image: WriteImage, photo: Callable[..., np.ndarray]) -> Path:
    """Return a folder of six images without masks."""
    for number in range(6):
        write_image(tmp_path / "images" / f"{number}.jpg", photo(number))
    return tmp_path


@pytest.fixture
def folder(make_folder: MakeFolder, ids: Callable[..., np.ndarray]) -> Path:
    """Return a data set of two classes and void, twelve images in three splits."""
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    masks = {f"{split}/{n}": ids(0, 1, 1, 255) for n, split in enumerate(splits)}
    return make_folder(masks)
