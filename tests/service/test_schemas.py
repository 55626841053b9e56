"""The options of a request: defaults, limits, and mistakes in words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from maskzoo.service.problems import list_mistakes
from maskzoo.service.schemas import SegmentOptions


def mistakes(**given: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        SegmentOptions(**given)
    return list_mistakes(caught.value)


def test_a_request_without_options_has_the_defaults():
    options = SegmentOptions()
    assert (options.mode, options.tta, options.masks) == ("auto", "none", "rle")
    assert options.mask_names == {"rle"}


def test_the_word_none_stands_for_no_masks():
    assert SegmentOptions(masks="none").mask_names == frozenset()
    assert SegmentOptions(masks="none,rle,coco").mask_names == {"rle", "coco"}


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ({"masks": "rel"}, "masks: unknown 'rel'; did you mean 'rle'?"),
        ({"masks": "rle,"}, "masks: unknown ''"),
        ({"max_side": 31}, "max_side: Input should be greater than or equal to 32, given 31"),
        ({"max_side": 8193}, "max_side: Input should be less than or equal to 8192, given 8193"),
        ({"threshold": 1.1}, "threshold: Input should be less than or equal to 1, given 1.1"),
        ({"simplify": -1}, "simplify: Input should be greater than or equal to 0, given -1"),
        ({"tta": "sideways"}, "tta: "),
        (
            {"tta": "d4+multiscale:1,2"},
            "tta: 'd4+multiscale:1,2' costs 40 times one run; at most 32",
        ),
        ({"max_side": 64, "mode": "whole"}, "max_side: not with mode=whole"),
        ({"bands": "4,3"}, "bands: '4,3' is not one number or three, such as 4,3,2"),
        ({"bands": "0"}, "bands: '0' is not one number or three"),
        ({"bands": "1,2,x"}, "bands: '1,2,x' is not one number or three"),
        ({"fromat": "png"}, "unknown option 'fromat'; did you mean 'format'?"),
    ],
)
def test_a_mistake_names_its_option_and_what_is_allowed(given, mistake):
    (found,) = mistakes(**given)
    assert found.startswith(mistake)


@pytest.mark.parametrize(
    "given", [{"max_side": 32}, {"max_side": 8192}, {"threshold": 1}, {"tta": "d4+multiscale:2"}]
)
def test_a_value_at_its_limit_is_taken(given):
    assert SegmentOptions(**given).model_dump(exclude_unset=True) == given


def test_bands_to_show_are_numbers():
    assert SegmentOptions().shown_bands is None
    assert SegmentOptions(bands="13").shown_bands == (13,)
    assert SegmentOptions(bands="4,3,2").shown_bands == (4, 3, 2)


def test_all_mistakes_are_listed_at_once():
    assert len(mistakes(mode="fast", opacity=2, masks="x")) == 3
