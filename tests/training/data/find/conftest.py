"""Empty images by their names alone, and the pairs that are found among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from maskzoo.training.data.records.readings.index import FileIndex
from tests.training.data.reading import find_pairs

Touch = Callable[[Iterable[str]], None]
FoundPairs = tuple[FileIndex, set[tuple[str, str, str | None]]]


@pytest.fixture
def touch(tmp_path: Path, write_image: Callable[..., Path]) -> Touch:
    """Write images of a few pixels: touch(names below the folder)."""

    def write(names: Iterable[str]) -> None:
        for name in names:
            write_image(tmp_path / name, np.zeros((4, 5), np.uint8))

    return write


@pytest.fixture
def found(tmp_path: Path) -> Callable[[], FoundPairs]:
    """Return what is found in the folder: the index, and (stem, mask, split) of its pairs."""

    def find() -> FoundPairs:
        index = find_pairs(tmp_path)
        rows = {
            (pair.stem, pair.mask.relative_to(tmp_path).as_posix(), pair.split)
            for pair in index.pairs
        }
        return index, rows

    return find


@pytest.fixture
def make_masks(tmp_path, write_image, photo):
    """Write images and masks by their patterns for some numbers: a square in each mask."""

    def make(images, masks, numbers):
        for number in numbers:
            for pattern in images:
                write_image(tmp_path / pattern.format(n=number), photo(number))
            for place, pattern in enumerate(masks):
                mask = np.zeros((24, 32), np.uint8)
                mask[4:10, 4 + 9 * place : 10 + 9 * place] = 255
                path = tmp_path / pattern.format(n=number)
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".npy":
                    np.save(path, mask)
                else:
                    write_image(path, mask)

    return make
