"""The order in which the readings of codes are tried; each reading has a test file of its own."""

from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.detect import interpret_outlines
from tests.training.data.codes import as_jpeg, rgb, table


def test_a_published_table_comes_before_noise(detected):
    codes = np.array([(0x3C, 0x10, 0x98), (0x84, 0x29, 0xF6), (0x6E, 0xC1, 0xE4)], np.uint8)
    mask = np.tile(np.repeat(codes, 16, axis=0), (24, 1, 1))
    assert detected([mask]).labels.names[0] == "building"
    assert not detected([mask]).encoding.nearest


def test_noise_comes_before_ids_and_colours(detected):
    mask = np.zeros((128, 128), np.uint8)
    mask[32:96, 40:100] = 255
    assert detected([as_jpeg(mask, 40)]).storage.endswith("with noise")


def test_a_colour_in_one_file_makes_all_masks_colours(detected, ids):
    result = detected([ids(0, 255), rgb("red", "green")])
    assert result.encoding.kind == "colours"
    assert {0, 0xC80A0A, 0x0AC80A} <= set(table(result))


def test_drawn_outlines_have_their_own_numbers():
    result = interpret_outlines(("cat", "dog"), "COCO polygons")
    assert result.labels.names == ("background", "cat", "dog")
    assert result.labels.background == 0
    assert table(result) == {0: 0, 1: 1, 2: 2, 255: 255}


def test_a_drawn_class_may_be_called_background():
    assert interpret_outlines(("background",), "YOLO polygons").labels.names == (
        "nothing",
        "background",
    )


@pytest.mark.parametrize("name", ["", "n" * 101])
def test_a_drawn_class_without_a_name_or_with_too_long_a_one_is_refused(name):
    with pytest.raises(DataError, match="characters; 1 to 100 are allowed; rename it in the annot"):
        interpret_outlines(("cat", name), "COCO polygons")
