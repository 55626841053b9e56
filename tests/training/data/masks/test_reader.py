from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.shapes.labelme import LabelmePolygons
from tests.training.data.documents import labelme_square_mask, write_labelme


@pytest.fixture
def mask(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    return write_image(tmp_path / "m.png", np.array([[0, 1, 2], [3, 4, 5]], np.uint8))


def test_a_mask_file_is_read_as_it_is_stored(mask: Path) -> None:
    raw = MaskReader().read(Path("image.jpg"), mask, (2, 3), 6)
    assert raw.codes.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_mask_follows_the_exif_orientation_of_its_image_where_that_is_asked_for(
    mask: Path,
) -> None:
    raw = MaskReader(apply_exif=True).read(Path("image.jpg"), mask, (3, 2), 6)
    assert raw.codes.tolist() == [[3, 0], [4, 1], [5, 2]]  # 6: a quarter clockwise


def test_outlines_are_drawn_at_the_size_of_the_image(images: Path) -> None:
    write_labelme(images, 0)
    file = images / "images" / "0.json"
    reader = MaskReader(LabelmePolygons(("cat",)))
    raw = reader.read(images / "images" / "0.jpg", file, (24, 32), 1)
    assert np.array_equal(raw.codes, labelme_square_mask())


def test_shapes_of_an_unrotated_image_are_turned_with_it(images: Path) -> None:
    write_labelme(images, 0)
    file = images / "images" / "0.json"
    reader = MaskReader(LabelmePolygons(("cat",)), apply_exif=True)
    raw = reader.read(images / "images" / "0.jpg", file, (32, 24), 6)
    assert np.array_equal(raw.codes, np.rot90(labelme_square_mask(), -1))
    assert raw.tally is not None
    assert raw.tally.drawn == 1
