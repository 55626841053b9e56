from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from maskzoo.models.errors import UnknownNameError
from maskzoo.training.data.choice import choose
from maskzoo.training.data.records.readings.choice import ChoiceError
from maskzoo.training.data.records.readings.index import FileIndex, Origin
from maskzoo.training.data.records.samples import Pair

ROOT = Path("data")


def reading(masks: str, *stems: str, is_listed: bool = False) -> FileIndex:
    pairs = [Pair(stem, ROOT / f"images/{stem}", ROOT / masks / stem, None) for stem in stems]
    origin = Origin(masks, {"images": "images", "masks": masks})
    return FileIndex(ROOT, "images + masks", tuple(pairs), origin, is_listed=is_listed)


def test_a_reading_within_another_is_no_choice() -> None:
    assert choose([reading("a", "1", "2"), reading("a", "1")]).pairs == reading("a", "1", "2").pairs
    assert choose([reading("a", "1"), reading("a", "1", "2")]).pairs == reading("a", "1", "2").pairs


def test_two_masks_for_an_image_are_a_choice() -> None:
    with pytest.raises(ChoiceError) as caught:
        choose([reading("a", "1", "2"), reading("b", "1", "2")])
    assert [choice.name for choice in caught.value.choices] == ["a", "b"]


def test_the_person_decides_and_the_other_masks_are_named_as_left_out() -> None:
    chosen = choose([reading("a", "1"), reading("b", "1")], "B")
    assert chosen.origin.name == "b"
    (left,) = chosen.left_out
    assert left.reason == "--masks B was chosen"
    assert left.files == (ROOT / "a/1",)


def test_an_unknown_name_is_told_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="unknown masks 'c'; known: a, b"):
        choose([reading("a", "1"), reading("b", "1")], "c")
    with pytest.raises(UnknownNameError):
        choose([reading("a", "1")], "c")


def test_a_list_beside_the_data_settles_the_choice() -> None:
    chosen = choose([reading("a", "1", "2"), reading("b", "1", is_listed=True)])
    assert chosen.origin.name == "b"
    assert [file for left in chosen.left_out for file in left.files] == [
        ROOT / "a/1",
        ROOT / "a/2",
        ROOT / "images/2",
    ]


def test_what_a_list_leaves_out_is_left_out() -> None:
    chosen = choose([reading("a", "1", "2", "3"), reading("a", "1", "2", is_listed=True)])
    assert [pair.stem for pair in chosen.pairs] == ["1", "2"]


def test_readings_of_one_name_are_told_apart_by_their_layouts() -> None:
    other = replace(reading("b", "1"), origin=Origin("a"), layout="other")
    with pytest.raises(ChoiceError) as caught:
        choose([reading("a", "1"), other])
    names = [choice.name for choice in caught.value.choices]
    assert names == ["a (images + masks)", "a (other)"]


def test_what_a_sample_holds_is_shown(folder: Path, write_image, ids) -> None:
    pair = Pair("0", folder / "images/train/0.png", folder / "masks/train/0.png", "train")
    one = FileIndex(folder, "layout", (pair,), Origin("one"))
    other = replace(one, pairs=(replace(pair, mask=folder / "masks/gone.png"),))
    with pytest.raises(ChoiceError) as caught:
        choose([one, replace(other, origin=Origin("two"))])
    first, second = caught.value.choices
    assert first.values == "1 50 %, 0 25 %, 255 25 %"
    assert second.values.startswith("cannot be read")
