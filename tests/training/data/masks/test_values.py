from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.values import _is_ground, interpret_values
from maskzoo.training.data.records.encoding import IGNORE
from maskzoo.training.data.records.rawmask import NAN, UNSET
from tests.training.data.codes import census_of, table


def test_0_and_255_are_background_and_foreground(detected, ids):
    result = detected([ids(0, 255), ids(0)])
    assert result.storage == "0/255"
    assert table(result) == {0: 0, 255: 1}
    assert result.labels.names == ("background", "foreground")
    assert result.labels.background == 0


def test_ids_with_255_ignore_it_and_say_so(detected, ids):
    result = detected([ids(0, 1, 2, 255)])
    assert result.storage == "ids"
    assert table(result) == {0: 0, 1: 1, 2: 2, 255: IGNORE}
    assert any("255" in note and "void" in note for note in result.notes)


def test_ids_keep_a_gap_and_say_so(detected, ids):
    result = detected([ids(0, 1, 3, 4)])
    assert result.labels.num_classes == 5
    assert result.notes == ("ids 2 occur in no mask; they stay classes",)


def test_ids_from_one_begin_at_class_zero(detected, ids):
    result = detected([ids(1, 2, 3)])
    assert table(result) == {1: 0, 2: 1, 3: 2}
    assert result.labels.names == ("class_1", "class_2", "class_3")


def test_grey_levels_far_apart_are_classes(detected, ids):
    result = detected([ids(0, 85, 170), ids(0, 240)])
    assert result.storage == "grey levels"
    assert table(result) == {0: 0, 85: 1, 170: 2, 240: 3}


def test_white_at_the_end_of_an_even_grey_scale_is_a_class(detected, ids):
    result = detected([ids(0, 127, 255), ids(0, 255)])
    assert table(result) == {0: 0, 127: 1, 255: 2}
    uneven = detected([ids(0, 60, 255)])
    assert table(uneven) == {0: 0, 60: 1, 255: 2}


def test_16_bit_ids_are_read_without_wrapping(detected, ids):
    result = detected([ids(0, 1).astype(np.uint16) * 300])
    assert result.storage == "16-bit values"
    assert set(table(result)) == {0, 300}


def test_more_values_than_classes_can_be_is_explained(detected):
    values = np.arange(600, dtype=np.uint16).reshape(20, 30)
    with pytest.raises(DataError, match=r"600 different values.*number the objects.*nearest: true"):
        detected([values])


def test_masks_of_nothing_but_both_voids_are_classes(detected):
    result = detected([np.tile(np.array([255, 65535], np.uint16), (24, 16))])
    assert sorted(table(result).values()) == [0, 1]


def test_0_and_65535_are_background_and_foreground(detected, ids):
    result = detected([ids(0, 1).astype(np.uint16) * 65535])
    assert table(result) == {0: 0, 65535: 1}


def test_even_levels_of_16_bits_are_classes(detected, ids):
    result = detected([ids(0, 1, 2, 3).astype(np.uint16) * 21845])
    assert table(result) == {0: 0, 21845: 1, 43690: 2, 65535: 3}


def test_65535_beside_ids_is_void(detected):
    result = detected([np.tile(np.array([0, 1, 2, 65535], np.uint16), (24, 8))])
    assert table(result)[65535] == IGNORE


def test_masks_of_0_and_1_beside_masks_of_0_and_255_have_one_foreground(detected, ids):
    result = detected([ids(0, 1), ids(0, 1), ids(0, 255), ids(0, 255)])
    assert table(result) == {0: 0, 1: 1, 255: 1}
    assert any("the foreground is 1 in some files and 255 in others" in n for n in result.notes)


def test_255_beside_1_in_one_file_is_void(detected, ids):
    result = detected([ids(0, 1), ids(0, 1, 255), ids(0, 255)])
    assert table(result) == {0: 0, 1: 1, 255: IGNORE}


def test_many_values_that_fill_no_areas_are_refused_with_the_lines_that_decide(detected):
    soft = np.random.default_rng(0).integers(0, 200, (64, 64)).astype(np.uint8)
    with pytest.raises(DataError, match=r"probabilities or soft edges.*threshold: 100"):
        detected([soft])


@pytest.mark.parametrize(("highest", "storage"), [(5, "ids"), (6, "grey levels")])
def test_ids_fill_more_than_half_of_their_range(detected, ids, highest, storage):
    assert detected([ids(0, 1, highest)]).storage == storage


@pytest.mark.parametrize(("code", "label"), [(UNSET, 0), (NAN, IGNORE)])
def test_pixels_in_no_plane_are_background_however_few_they_are(code, label):
    pixels = {code: 10, 0: 500, 1: 490}
    found = interpret_values(
        census_of("values", pixels, solid=(0, 1), files={code: 1}, num_files=5)
    )
    assert table(found)[code] == label


@pytest.mark.parametrize(("pixels", "is_ground"), [(50, False), (51, True)])
def test_what_covers_a_twentieth_at_most_is_no_background(pixels, is_ground):
    """It lies as squares in every file, so nothing else speaks for void."""
    counts = {0: pixels, 1: 1000 - pixels}
    census = census_of("values", counts, solid=counts, files={0: 10, 1: 10}, num_files=10)
    assert not census.lies_as_void(0)
    assert _is_ground(0, census) is is_ground
