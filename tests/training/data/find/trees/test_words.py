from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.training.data.find.trees.splits import split_in_name
from maskzoo.training.data.find.trees.words import read_name, split_folders


@pytest.mark.parametrize(
    ("name", "split"), [("training", "train"), ("Valid", "val"), ("test2017", "test")]
)
def test_folders_stand_for_splits(tmp_path: Path, name: str, split: str) -> None:
    (tmp_path / name).mkdir()
    assert split_folders([tmp_path / name]) == {split: tmp_path / name}


@pytest.mark.parametrize(
    ("name", "role", "rendering"),
    [
        ("5_Labels_all_noBoundary", "mask", ""),
        ("labels_boundary", "mask", "edges"),
        ("3_Ortho_IRRG", "image", ""),
        ("dsm", "mask", "depth"),
        ("nDSM_heights", "mask", "depth"),
    ],
)
def test_words_beside_each_other_say_what_a_folder_holds(name, role, rendering) -> None:
    said = read_name(name)
    assert (said.role, said.rendering) == (role, rendering)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("instances_trainset.json", "train"),
        ("valset/annotations.json", "val"),
        ("instances_train2014.json", "train"),
        ("coco/testdata.json", "test"),
        ("viaTrain.json", "train"),
        ("training_images/x.json", "train"),
        ("constraints.json", None),
        ("fold1.json", None),
    ],
)
def test_the_word_of_a_split_in_a_path_is_found(tmp_path, name, split) -> None:
    assert split_in_name(tmp_path / name, tmp_path) == split
