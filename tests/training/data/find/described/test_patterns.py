from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.described.patterns import (
    MaskPattern,
    is_pattern,
    join_patterns,
    match_pattern,
    words_of_splits,
)

SPLITS = words_of_splits({})


def joined(root: Path, images: list[str], masks: list[MaskPattern]) -> dict[str, list[str]]:
    rows = join_patterns(Listing.of(root), images, masks, SPLITS)
    return {
        row.image.relative_to(root).as_posix(): [
            f"{label}:{mask.relative_to(root).as_posix()}" for label, mask in row.masks
        ]
        for row in rows
    }


def test_a_pattern_has_braces_or_stars() -> None:
    assert is_pattern("masks/{stem}.png")
    assert is_pattern("masks/*.png")
    assert not is_pattern("masks [old]/a.png")


def test_a_name_stands_for_the_same_text_wherever_it_occurs(tmp_path, touch) -> None:
    touch(["a/x_a.png", "a/x_b.png", "b/y_b.PNG"])
    found = match_pattern(Listing.of(tmp_path), "{folder}/{stem}_{folder}.png", SPLITS)
    assert [dict(row.parts) for row in found] == [
        {"folder": "a", "stem": "x"},
        {"folder": "b", "stem": "y"},
    ]


def test_image_and_mask_belong_together_by_the_names_that_both_have(tmp_path, touch) -> None:
    touch(["Train/images/1_train.png", "train/m/1_manual.gif", "Test/images/1_test.png"])
    assert joined(
        tmp_path, ["{split}/images/{stem}_*.png"], [MaskPattern("{split}/m/{stem}_manual.gif")]
    ) == {"Test/images/1_test.png": [], "Train/images/1_train.png": [":train/m/1_manual.gif"]}


def test_a_class_is_named_by_its_pattern_or_by_its_place(tmp_path, touch) -> None:
    touch(["i/a_b.png", "m/car_a_b.png", "m/road_a_b.png"])
    expected = {"i/a_b.png": ["car:m/car_a_b.png", "road:m/road_a_b.png"]}
    both = [MaskPattern("m/car_{stem}.png", "car"), MaskPattern("m/road_{stem}.png", "road")]
    assert joined(tmp_path, ["i/{stem}.png"], both) == expected
    assert joined(tmp_path, ["i/{stem}.png"], [MaskPattern("m/{class}_{stem}.png")]) == expected


def test_a_class_after_the_stem_is_told_by_the_stems_of_the_images(tmp_path, touch) -> None:
    touch(["i/a_b.png", "m/a_b_car.png"])
    assert joined(tmp_path, ["i/{stem}.png"], [MaskPattern("m/{stem}_{class}.png")]) == {
        "i/a_b.png": ["car:m/a_b_car.png"]
    }


def test_what_a_pattern_of_masks_matches_is_no_image(tmp_path, touch) -> None:
    touch(["a.png", "a_mask.png"])
    assert joined(tmp_path, ["{stem}.png"], [MaskPattern("{stem}_mask.png")]) == {
        "a.png": [":a_mask.png"]
    }


def test_mistakes_in_patterns_are_told_together(tmp_path, touch) -> None:
    touch(["i/1.png", "i/2.png", "m/1.png", "m/2.png"])
    with pytest.raises(SpecError) as caught:
        joined(tmp_path, ["i/{stem}.png"], [MaskPattern("m/{name}.png"), MaskPattern("n/{stem}.x")])
    first, second = caught.value.mistakes
    assert first == "'n/{stem}.x' matches no file"
    assert "name no part that both have; write {stem}" in second


def test_words_of_splits_may_be_given() -> None:
    assert words_of_splits({"val": ["Held"]}) == {"held": "val"}
    assert words_of_splits({})["training"] == "train"
