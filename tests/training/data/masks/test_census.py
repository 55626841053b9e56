from __future__ import annotations

from collections import Counter

import pytest

from maskzoo.training.data.masks.census import Census, is_grey_scale
from tests.training.data.codes import COLOURS, rgb, table


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


@pytest.mark.parametrize(
    ("count", "files", "is_void"),
    [
        (50, 9, True),  # a twentieth of the pixels is rare
        (51, 9, False),
        (300, 2, True),  # two of ten files are few
        (300, 3, False),
    ],
)
def test_what_lies_as_void_is_rare_or_in_few_files(count, files, is_void):
    pixels = Counter({0: 1000 - count, 255: count})
    census = Census(
        "values",
        pixels,
        pixels,  # both fill areas
        Counter({0: 10, 255: files}),
        {},
        "values",
        num_files=10,
        num_lossy=0,
        no_data=frozenset(),
        whites=frozenset(),
    )
    assert census.lies_as_void(255) is is_void
