from __future__ import annotations

import pytest

from maskzoo.training.data.records.codes import (
    format_code,
    parse_code,
    parse_codes,
    unpack_colour,
)
from maskzoo.training.data.records.rawmask import NAN, UNSET


def test_codes_are_written_as_people_do() -> None:
    assert format_code(7, "values") == "7"
    assert format_code(NAN, "values") == "nan"
    assert format_code(0x3C1098, "colours") == "#3C1098"


def test_a_colour_is_unpacked_into_red_green_and_blue() -> None:
    assert unpack_colour(0x3C1098) == (0x3C, 0x10, 0x98)


def test_values_ranges_and_colours_are_parsed() -> None:
    assert parse_codes([-1, "70000", "nan", "unset"], "values") == [-1, 70000, NAN, UNSET]
    assert parse_codes([7, "9", "1-3"], "values") == [7, 9, 1, 2, 3]
    assert parse_code(" #3c1098 ", "colours") == [0x3C1098]


@pytest.mark.parametrize("code", ["9-7", "0-65536", 2**32, "#000000", "red"])
def test_what_is_not_a_value_is_refused(code: int | str) -> None:
    with pytest.raises(ValueError, match=r"is out of range|is not a value"):
        parse_code(code, "values")


@pytest.mark.parametrize("code", [3, "3C1098", "#3C109", "red"])
def test_what_is_not_a_colour_is_refused(code: int | str) -> None:
    with pytest.raises(ValueError, match='is not a colour; write it as "#RRGGBB"'):
        parse_code(code, "colours")
