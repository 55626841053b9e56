from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask
from maskzoo.training.data.opening import inspect
from maskzoo.training.data.scan.painted import painted_fraction


def test_what_a_painted_photo_leaves_of_the_image_is_measured(tmp_path, write_image):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    painted = pixels.copy()
    painted[:, :20] = (0, 0, 255)
    mask = read_raw_mask(write_image(tmp_path / "m.png", painted))
    assert painted_fraction(mask, pixels) == pytest.approx(0.6, abs=0.01)
    assert painted_fraction(mask, 255 - pixels) < 0.01


def test_black_beside_black_is_not_a_painted_photo(tmp_path, write_image):
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[10:20, 10:20] = 200
    mask = np.zeros((40, 50), np.uint8)
    mask[20:30, 20:30] = 255
    raw = read_raw_mask(write_image(tmp_path / "m.png", mask))
    assert painted_fraction(raw, pixels) == 0


def test_painted_photos_are_refused_with_the_painted_colour(images, write_image, photo):
    for number in range(6):
        pixels = photo(number)
        write_image(images / "images" / f"{number}.png", pixels)
        (images / "images" / f"{number}.jpg").unlink()
        painted = pixels.copy()
        painted[4:16, 4:20] = (0, 0, 255)
        write_image(images / "masks" / f"{number}.png", painted)
    with pytest.raises(DataError, match=r"6 of 6 masks are painted photos: .* areas: #0000FF"):
        inspect(images)
