"""Messages say what was given, what is allowed, and what to do."""

from __future__ import annotations

import inspect

import pytest

from maskzoo.models import errors
from maskzoo.models.errors import (
    ImageTooLargeError,
    SpecError,
    UnknownNameError,
    ZooError,
    did_you_mean,
    megapixels,
    shown,
)


def test_every_exception_is_a_zoo_error():
    classes = [
        item
        for _, item in inspect.getmembers(errors, inspect.isclass)
        if item.__module__ == errors.__name__
    ]
    assert len(classes) > 5
    assert all(issubclass(item, ZooError) for item in classes)


def test_a_close_name_is_suggested():
    error = UnknownNameError("architecture", "danett", ["danet", "pspnet", "fcn"])
    assert str(error) == "unknown architecture 'danett'; did you mean 'danet'?"
    assert error.suggestions[0] == "danet"
    assert error.allowed == ["danet", "fcn", "pspnet"]


def test_a_message_shows_no_more_than_the_start_of_what_was_given():
    error = UnknownNameError("architecture", "x" * 10**6, ["danet"])
    assert str(error) == f"unknown architecture '{'x' * 80}'…; known: danet"
    assert shown("x" * 80) == f"'{'x' * 80}'"
    assert shown([1] * 1000) == "[" + "1, " * 26 + "1…"
    assert shown(b"ab", most=1) == "b'a'…"


@pytest.mark.parametrize(
    ("pixels", "text"), [(0, "0.0"), (50_000_000, "50.0"), (1_249_999, "1.2"), (1_250_000, "1.3")]
)
def test_megapixels_have_one_decimal(pixels, text):
    assert megapixels(pixels) == text
    assert len(megapixels(10**800)) == 797


def test_case_does_not_hide_a_suggestion():
    assert did_you_mean("DANet", ["danet"]) == "; did you mean 'danet'?"


def test_without_a_close_name_the_known_ones_are_listed():
    error = UnknownNameError("mode", "zzz", ["whole", "auto"])
    assert str(error) == "unknown mode 'zzz'; known: auto, whole"


def test_a_long_list_of_names_is_cut():
    text = did_you_mean("###", [f"name{index}" for index in range(50)])
    assert text.endswith(" …")
    assert text.count("name") == 30


@pytest.mark.parametrize("count", [1, 3])
def test_all_mistakes_are_listed(count):
    mistakes = [f"mistake {index}" for index in range(count)]
    error = SpecError("model description", mistakes)
    assert str(error).splitlines() == [
        f"model description: {count} mistake{'s' * (count > 1)}",
        *(f"  - {mistake}" for mistake in mistakes),
    ]
    assert error.mistakes == mistakes


def test_a_too_large_image_tells_its_size_and_the_limit():
    error = ImageTooLargeError(30_000, 20_000, 50_000_000)
    assert "30000 x 20000 = 600.0 megapixels" in str(error)
    assert "at most 50.0" in str(error)
    assert (error.width, error.height, error.max_pixels) == (30_000, 20_000, 50_000_000)
