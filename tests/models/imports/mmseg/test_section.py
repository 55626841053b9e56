"""Sections of a configuration: typed, and every setting accounted for."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.section import Section


def test_settings_are_taken_once_and_none_counts_as_absent():
    section = Section("head", {"a": 3, "b": None, "c": [1, 2], "d": True, "e": "x", "f": {"g": 1}})
    assert section.count("a", 1) == 3
    assert section.count("a", 1) == 1
    assert section.number("b", 0.5) == 0.5
    assert section.counts("c", ()) == (1, 2)
    assert section.flag("d", False) is True
    assert section.word("e", "y", ("x", "y")) == "x"
    assert section.part("f") == {"g": 1}
    section.finish()


def test_a_setting_that_nobody_took_is_an_error_that_names_it():
    section = Section("head", {"type": "MyHead", "loss_decode": {}, "depth_wise": True, "n": 7})
    section.skip("n", "absent")
    section.take("type")
    with pytest.raises(WeightsError, match=r"head of type 'MyHead' .* depth_wise=True;"):
        section.finish()


@pytest.mark.parametrize(
    ("method", "value", "arguments"),
    [
        ("flag", 1, (False,)),
        ("count", True, (1,)),
        ("count", 1.5, (1,)),
        ("number", "1", (1.0,)),
        ("counts", ["1"], ((),)),
        ("word", "z", ("x", ("x", "y"))),
        ("part", [1], ()),
    ],
)
def test_a_value_of_another_type_is_an_error_that_shows_it(method, value, arguments):
    section = Section("head", {"key": value})
    with pytest.raises(WeightsError, match=r"head\.key is .*; maskzoo reads "):
        getattr(section, method)("key", *arguments)
