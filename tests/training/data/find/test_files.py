from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.training.data.find.files import (
    list_files,
    named_folders,
    split_folders,
    subfolders,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b/x/2.PNG", "a/1.jpg", "a/notes.txt", ".hidden/3.png", "a/.4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(root: Path, paths: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in paths]


def test_images_below_a_folder_are_listed_without_hidden_ones(root: Path) -> None:
    assert names(root, list_files(root)) == ["a/1.jpg", "b/x/2.PNG"]
    assert names(root, list_files(root, {".txt"})) == ["a/notes.txt"]


def test_hidden_folders_are_skipped(root: Path) -> None:
    (root / "__MACOSX").mkdir()
    assert names(root, subfolders(root)) == ["a", "b"]


def test_folders_are_found_by_their_names_in_the_order_of_preference(tmp_path: Path) -> None:
    for name in ("Images", "Pictures", "masks"):
        (tmp_path / name).mkdir()
    assert names(tmp_path, named_folders(tmp_path, ("pictures", "images"))) == [
        "Pictures",
        "Images",
    ]


@pytest.mark.parametrize(
    ("name", "split"), [("training", "train"), ("Valid", "val"), ("test2017", "test")]
)
def test_folders_stand_for_splits(tmp_path: Path, name: str, split: str) -> None:
    (tmp_path / name).mkdir()
    assert split_folders(tmp_path) == {split: tmp_path / name}
