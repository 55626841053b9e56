from __future__ import annotations

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.census import is_grey_scale
from tests.training.data.codes import COLOURS, census_of, rgb, table


def test_equal_palettes_give_ids_and_colours(detected, ids):
    palette = [(0, 0, 0), (200, 0, 0), (0, 200, 0)]
    result = detected([ids(0, 1), ids(0, 2)], palettes=[palette, palette])
    assert result.storage == "indexed with palette"
    assert table(result) == {0: 0, 1: 1, 2: 2}
    assert result.labels.colours == ((0, 0, 0), (200, 0, 0), (0, 200, 0))


def test_palettes_in_another_order_are_read_by_colour(detected, ids):
    first = [COLOURS["red"], COLOURS["green"]]
    result = detected([ids(0, 1), ids(0, 1)], palettes=[first, first[::-1]])
    assert result.storage == "per-file palettes"
    assert set(table(result)) == {0xC80A0A, 0x0AC80A}


def test_rgb_and_palette_files_side_by_side_agree(detected, ids):
    palette = [COLOURS["blue"], COLOURS["red"]]
    result = detected([rgb("red", "green"), ids(0, 1)], palettes=[None, palette])
    assert result.storage == "colours and per-file palettes"
    assert sorted(table(result).values()) == [0, 1, 2]


def test_even_levels_up_to_white_are_a_grey_scale():
    assert is_grey_scale([0, 128, 255])
    assert not is_grey_scale([0, 100, 255])
    assert not is_grey_scale([0, 1, 2])


@pytest.mark.parametrize(("files", "are_few"), [(2, True), (3, False)])
def test_a_fifth_of_the_files_are_few(files, are_few):
    pixels = {0: 700, 255: 300}
    census = census_of("values", pixels, solid=pixels, files={255: files}, num_files=10)
    assert census.is_in_few_files(255) is are_few
    assert census.lies_as_void(255) is are_few


def test_of_too_many_colours_those_that_others_lie_around_are_named():
    noise = {0xFF0000 + n: 10 for n in range(1, 40)} | {0x0000FF + 256 * n: 9 for n in range(1, 40)}
    pixels = {0: 900, 0xFF0000: 500, 0x0000FF: 400, **noise}
    census = census_of("colours", pixels, solid=pixels, files=dict.fromkeys(pixels, 1), num_files=1)
    with pytest.raises(DataError, match=r"such as #000000, #FF0000, #0000FF, list these"):
        census.check_num_classes(300)
