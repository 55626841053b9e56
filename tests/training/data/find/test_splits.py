from __future__ import annotations

from collections import Counter

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.training.data.find.splits import assign_splits, read_split_file

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


def test_split_files_name_the_wrong_line(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("stem,split\na,train\nb,tests\n")
    with pytest.raises(SpecError, match="line 3: give a stem"):
        read_split_file(path)
    path.write_text("stem,split\na,train\nb,test\n")
    assert read_split_file(path) == {"a": "train", "b": "test"}
