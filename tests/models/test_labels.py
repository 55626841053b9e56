"""Label sets: what is refused, the palette, and the published sets."""

from __future__ import annotations

import colorsys
import itertools

import numpy as np
import pytest
from pydantic import ValidationError

from maskzoo.models.errors import UnknownNameError
from maskzoo.models.labels import (
    MAX_CLASS_NAME,
    LabelSet,
    distinct_colours,
    hex_colour,
    name_mistakes,
    parse_colour,
)

RED, GREEN = (255, 0, 0), (0, 255, 0)


def test_a_label_set_survives_json():
    labels = LabelSet(names=("sky", "car"), colours=(RED, GREEN), background=0, ignore_index=11)
    assert LabelSet.model_validate_json(labels.model_dump_json()) == labels
    assert labels.num_classes == 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"names": (), "colours": ()}, "at least one class"),
        (
            {"names": ("a", "b"), "colours": (RED,)},
            r"colours \(1\) must match number of names \(2\)",
        ),
        ({"names": ("a", "a"), "colours": (RED, GREEN)}, "given twice: a"),
        ({"names": ("",), "colours": (RED,)}, "class name '' has 0 characters; 1 to 100 are"),
        (
            {"names": ("a", "n" * 101), "colours": (RED, GREEN)},
            "class name 'n+'… has 101 characters",
        ),
        ({"names": ("a",), "colours": (RED,), "background": 1}, "background 1 is not a class id"),
        ({"names": ("a",), "colours": (RED,), "ignore_index": 0}, "ignore_index 0 is also a class"),
        ({"names": ("a",), "colours": ((0, 0, 256),)}, "less than or equal to 255"),
        ({"names": ("a",), "colours": (RED,), "palette": 1}, "Extra inputs"),
    ],
)
def test_a_wrong_label_set_says_what_is_wrong(fields, reason):
    with pytest.raises(ValidationError, match=reason):
        LabelSet(**fields)


def test_a_name_of_a_hundred_characters_is_taken():
    assert LabelSet.from_names(["n" * MAX_CLASS_NAME]).names == ("n" * 100,)


def test_many_names_that_are_too_long_make_a_short_message():
    mistakes = name_mistakes(["road", *["n" * 10**6] * 9])
    assert mistakes[-1] == "and 4 more"
    assert len("; ".join(mistakes)) < 1000


def test_the_palette_has_256_rows_and_is_black_without_a_class():
    palette = LabelSet(names=("a", "b"), colours=(RED, GREEN)).palette()
    assert palette.shape == (256, 3)
    np.testing.assert_array_equal(palette[:3], [RED, GREEN, (0, 0, 0)])


def test_the_palette_of_more_than_256_classes_holds_the_first_256():
    labels = LabelSet.generic(300)
    np.testing.assert_array_equal(labels.palette(), labels.colours[:256])
    assert labels.ignore_index == 65535


def test_generated_colours_differ_and_neighbours_are_far_apart_in_hue():
    colours = distinct_colours(36)
    assert len(set(colours)) == 36
    hues = [colorsys.rgb_to_hsv(*(part / 255 for part in colour))[0] for colour in colours]
    for one, other in itertools.pairwise(hues):
        distance = abs(one - other)
        assert min(distance, 1 - distance) > 0.3


@pytest.mark.parametrize(
    ("name", "count", "samples"),
    [
        ("voc", 21, {0: ("background", (0, 0, 0)), 20: ("tvmonitor", (0, 64, 128))}),
        ("cityscapes", 19, {0: ("road", (128, 64, 128)), 18: ("bicycle", (119, 11, 32))}),
        ("ade20k", 150, {0: ("wall", (120, 120, 120)), 149: ("flag", (92, 0, 255))}),
        ("camvid", 11, {0: ("sky", (128, 128, 128)), 10: ("bicyclist", (0, 128, 192))}),
    ],
)
def test_published_sets_have_their_classes(name, count, samples):
    labels = LabelSet.builtin(name)
    assert labels.num_classes == count
    assert labels.ignore_index == 255
    for index, (word, colour) in samples.items():
        assert (labels.names[index], labels.colours[index]) == (word, colour)


def test_voc_colours_follow_the_development_kits_formula():
    def colour(index):
        channels = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                channels[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
        return tuple(channels)

    assert LabelSet.builtin("voc").colours == tuple(colour(index) for index in range(21))
    assert LabelSet.builtin("voc").background == 0


def test_an_unknown_published_set_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="unknown label set 'cityscape'; did you mean"):
        LabelSet.builtin("cityscape")


@pytest.mark.parametrize("text", ["3c1098", "#3C1098"])
def test_colours_are_read_from_and_written_in_hexadecimal(text):
    assert parse_colour(text) == (0x3C, 0x10, 0x98)
    assert hex_colour(parse_colour(text)) == "#3c1098"


@pytest.mark.parametrize("text", ["", "12345", "red", "11223344"])
def test_other_texts_are_not_colours(text):
    with pytest.raises(ValueError, match=r"fromhex|unpack"):
        parse_colour(text)


@pytest.mark.parametrize(
    ("names", "background", "foreground"),
    [("ab", 0, 1), ("ab", 1, 0), ("ab", None, None), ("abc", 0, None), ("a", 0, None)],
)
def test_the_foreground_is_the_one_class_beside_the_background(names, background, foreground):
    labels = LabelSet.from_names(list(names), background=background)
    assert labels.foreground == foreground
