from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.training.data.find.splits import assign_splits, read_split_file, settle_splits
from maskzoo.training.data.records.description import SplitRule
from maskzoo.training.data.records.samples import Pair

STEMS = [f"image_{number:03d}" for number in range(200)]
NO_CLASSES: dict[str, frozenset[int]] = {}


def test_same_seed_same_split_and_another_seed_another():
    first = assign_splits(STEMS, seed=0, classes=NO_CLASSES)
    assert first == assign_splits(STEMS[::-1], seed=0, classes=NO_CLASSES)
    assert first != assign_splits(STEMS, seed=1, classes=NO_CLASSES)


def test_drawn_splits_are_close_to_their_fractions():
    counts = Counter(assign_splits(STEMS, seed=0, classes=NO_CLASSES).values())
    assert 120 <= counts["train"] <= 160
    assert 15 <= counts["val"] <= 45


def test_new_files_move_no_others():
    before = assign_splits(STEMS[:150], seed=3, classes=NO_CLASSES)
    after = assign_splits(STEMS, seed=3, classes=NO_CLASSES)
    assert {stem: after[stem] for stem in before} == before


def test_no_split_is_empty_for_three_samples():
    for seed in range(20):
        splits = assign_splits(["a", "b", "c"], seed=seed, classes=NO_CLASSES)
        assert set(splits.values()) == {"train", "val", "test"}


def test_two_samples_make_train_and_val():
    for seed in range(20):
        assert set(assign_splits(["a", "b"], seed=seed, classes={}).values()) == {"train", "val"}


def test_a_rare_class_reaches_train_and_val():
    for seed in range(20):
        rare = {STEMS[seed], STEMS[seed + 40]}
        classes = {stem: frozenset({0, 1} if stem in rare else {0}) for stem in STEMS}
        splits = assign_splits(STEMS, seed=seed, classes=classes)
        assert {splits[stem] for stem in rare} == {"train", "val"}


def test_groups_stay_together():
    stems = [f"tile{tile}_part{part}" for tile in range(20) for part in range(5)]
    splits = assign_splits(stems, seed=0, classes={}, group=r"^(tile\d+)_")
    for tile in range(20):
        assert len({splits[f"tile{tile}_part{part}"] for part in range(5)}) == 1
    assert set(splits.values()) == {"train", "val", "test"}


@pytest.mark.parametrize(
    "text",
    [
        "stem,split\na,train\nb,test\n",
        "stem;split\na;train\n\n# ours\nb;test\n",
        "id,age,set\na.png,3,Train\nb.png,4,testing\n",
        "train,a\ntest,b\n",
        "a,train\nb,test\na,train\n",
    ],
)
def test_split_files_are_read_in_any_form(tmp_path, text):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    assert read_split_file(path) == {"a": "train", "b": "test"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stem,split\na,train\nb,tests\n", "'b' is in the split 'tests'; write train, val or test"),
        ("stem,split\na,train\na,test\n", "'a' is in train and in test; leave it in one"),
        ("a\nb\n", "give a table with the columns stem and split"),
        ("stem,age\na,3\n", "give a table with the columns stem and split"),
    ],
)
def test_split_files_name_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(SpecError, match=message):
        read_split_file(path)


def equal_in_pairs(stems):
    """Return contents where 000 equals 001, 002 equals 003, and so on."""
    return {stem: f"hash {number // 2}" for number, stem in enumerate(stems)}


def test_equal_files_stay_together_in_any_order():
    contents = equal_in_pairs(STEMS)
    for seed in range(5):
        splits = assign_splits(STEMS, seed=seed, classes={}, contents=contents)
        assert all(splits[a] == splits[b] for a, b in zip(STEMS[::2], STEMS[1::2], strict=True))
        assert set(splits.values()) == {"train", "val", "test"}
        assert splits == assign_splits(STEMS[::-1], seed=seed, classes={}, contents=contents)


def test_files_of_which_none_are_equal_are_split_as_by_their_names_alone():
    contents = {stem: f"hash of {stem}" for stem in STEMS}
    for group in (None, r"_(\d\d)"):
        by_name = assign_splits(STEMS, seed=2, classes={}, group=group)
        assert assign_splits(STEMS, seed=2, classes={}, group=group, contents=contents) == by_name
    places = [
        "train",
        "train",
        "train",
        "val",
        "val",
        "train",
        "train",
        "train",
    ]  # as before files were compared
    assert [assign_splits(STEMS, seed=0, classes={})[stem] for stem in STEMS[:8]] == places


def test_a_copy_that_comes_later_moves_no_others():
    before = assign_splits(STEMS, seed=0, classes={}, contents={stem: stem for stem in STEMS})
    contents = {stem: stem for stem in STEMS} | {"image_005 (copy)": "image_005"}
    after = assign_splits([*STEMS, "image_005 (copy)"], seed=0, classes={}, contents=contents)
    assert after == before | {"image_005 (copy)": before["image_005"]}


def test_groups_that_share_an_equal_file_are_joined():
    stems = [f"tile{tile:02}_part{part}" for tile in range(40) for part in range(3)]
    chain = {
        f"tile{tile:02}_part{part}": f"edge {tile + part}" for tile in range(3) for part in (0, 1)
    }
    for seed in range(10):
        splits = assign_splits(stems, seed=seed, classes={}, group=r"^(tile\d+)_", contents=chain)
        assert (
            len({splits[stem] for stem in stems[:9]}) == 1
        )  # 0 and 1 share edge 1, 1 and 2 edge 2


def settle(given, contents):
    """Return the splits and the note of samples whose split, or None, is given by stem."""
    pairs = [Pair(stem, Path(stem), Path(stem), split) for stem, split in given.items()]
    return settle_splits(pairs, SplitRule(), root=Path(), seed=0, classes={}, contents=contents)


def test_the_note_counts_the_equal_files_that_were_kept_together():
    alone = dict.fromkeys(STEMS)
    plain = "splits: train, val and test by hash with seed 0; new files move no others"
    assert settle(alone, {stem: stem for stem in STEMS})[1] == plain
    blank = {stem: "blank" if stem < "image_006" else stem for stem in STEMS}
    splits, note = settle(alone, blank)
    assert note == plain + "; 6 images equal another and share its split"
    assert len({splits[stem] for stem in STEMS[:6]}) == 1


def test_val_that_is_drawn_from_train_shares_no_file_with_it_and_leaves_test_as_it_is():
    given = {stem: "test" if stem < "image_021" else "train" for stem in STEMS}
    splits, note = settle(given, equal_in_pairs(STEMS))
    assert all(splits[a] == splits[b] for a, b in zip(STEMS[22::2], STEMS[23::2], strict=True))
    assert {stem for stem in STEMS if splits[stem] == "test"} == set(STEMS[:21])
    assert "there is no val" in note
    assert note.endswith("; 178 images equal another and share its split")


def test_a_drawn_sample_goes_to_the_split_of_the_given_one_that_it_equals():
    given = {stem: ("val" if int(stem[-3:]) % 2 == 0 else None) for stem in STEMS[:100]}
    given |= dict.fromkeys(STEMS[100:])
    splits, note = settle(given, equal_in_pairs(STEMS[:100]))
    assert all(splits[stem] == "val" for stem in STEMS[:100])
    assert {splits[stem] for stem in STEMS[100:]} == {"train", "val", "test"}
    assert note.endswith(
        "the other 150 by hash with seed 0; 50 images equal another and share its split"
    )


def test_a_copy_goes_to_the_first_split_that_has_its_image():
    given = {"a": "test", "b": "train", "c": "val", "d": "val"}
    pairs = [Pair(stem, Path(stem), Path(stem), split) for stem, split in given.items()]
    pairs += [Pair(stem, Path(stem), Path(stem), None) for stem in "ef"]
    contents = {"a": "x", "b": "x", "e": "x", "c": "y", "f": "y"}
    splits, note = settle_splits(
        pairs, SplitRule(), root=Path(), seed=0, classes=NO_CLASSES, contents=contents
    )
    assert (splits["e"], splits["f"]) == ("train", "val")
    assert "2 images equal another" in note
