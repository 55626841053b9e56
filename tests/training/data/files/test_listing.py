from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import Listing


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def names(listing: Listing, paths: Iterable[Path]) -> list[str]:
    return [listing.relative(path) for path in paths]


def test_images_below_a_folder_are_listed_and_litter_is_apart(tmp_path: Path) -> None:
    touch(tmp_path, "b/x/2.PNG", "a/1.jpg", "a/notes.txt", ".hidden/3.png", "a/.4.png")
    touch(tmp_path, "__MACOSX/a/1.jpg", "a/Thumbs.db")
    listing = Listing.of(tmp_path)
    assert names(listing, listing.files()) == ["a/1.jpg", "b/x/2.PNG"]
    assert names(listing, listing.files(suffixes={".txt"})) == ["a/notes.txt"]
    assert names(listing, listing.files(tmp_path / "b", deep=False)) == []
    assert names(listing, listing.folders()) == ["a", "b"]
    assert sorted(names(listing, listing.litter)) == [
        ".hidden",
        "__MACOSX",
        "a/.4.png",
        "a/Thumbs.db",
    ]


def test_folders_are_found_by_their_names_in_the_order_of_preference(tmp_path: Path) -> None:
    for name in ("Images", "Pictures", "masks"):
        (tmp_path / name).mkdir()
    listing = Listing.of(tmp_path)
    found = listing.named(tmp_path, ("pictures", "images"))
    assert names(listing, found) == ["Pictures", "Images"]


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/2.png", "set/images/1.png")
    (tmp_path / "set/images/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/images/3.png").symlink_to(tmp_path / "elsewhere/2.png")
    listing = Listing.of(tmp_path / "set")
    assert names(listing, listing.files()) == [
        "images/1.png",
        "images/3.png",
        "images/more/2.png",
    ]


def test_links_that_lead_back_are_cut_and_broken_ones_told(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/b").symlink_to(tmp_path / "b")
    (tmp_path / "b/a").symlink_to(tmp_path / "a")
    (tmp_path / "a/gone.png").symlink_to(tmp_path / "nothing")
    listing = Listing.of(tmp_path)
    assert names(listing, listing.files()) == ["a/1.png", "a/b/2.png", "b/2.png", "b/a/1.png"]
    assert sorted(names(listing, listing.loops)) == ["a/b/a", "a/up", "b/a/b", "b/a/up"]
    assert names(listing, listing.broken) == ["a/gone.png", "b/a/gone.png"]


def test_a_link_to_itself_is_broken(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "self").symlink_to("self")
    listing = Listing.of(tmp_path)
    assert names(listing, listing.broken) == ["self"]
    assert names(listing, listing.all_files) == ["a/1.png"]


def test_composed_and_decomposed_names_are_equal(tmp_path: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    assert composed != decomposed
    touch(tmp_path, f"masks/{decomposed}")
    listing = Listing.of(tmp_path)
    path = tmp_path / "masks" / decomposed
    assert listing.resolve(f"masks/{composed}") == path
    assert listing.resolve(composed) == path
    assert listing.stem(path) == unicodedata.normalize("NFC", "masks/é")


@pytest.mark.parametrize(
    "text",
    [
        "images/b/1.png",
        "images\\b\\1.png",
        "./images/../images/b/1.png",
        "C:\\Users\\me\\set\\images\\b\\1.png",
        "\\\\server\\share\\set\\images\\b\\1.png",
        "/home/me/set/images/b/1.png",
        "b/1.png",
        "IMAGES/B/1.PNG",
        "file:///home/me/b/1.png",
        '"images/b/1.png"',
    ],
)
def test_a_name_in_a_list_finds_its_file(tmp_path: Path, text: str) -> None:
    touch(tmp_path, "images/a/1.png", "images/b/1.png")
    assert Listing.of(tmp_path).resolve(text) == tmp_path / "images/b/1.png"


def test_a_name_is_first_relative_to_its_list(tmp_path: Path) -> None:
    touch(tmp_path, "1.png", "lists/1.png", "lists/all.txt")
    listing = Listing.of(tmp_path)
    assert listing.resolve("1.png", tmp_path / "lists") == tmp_path / "lists/1.png"
    assert listing.resolve("../1.png", tmp_path / "lists") == tmp_path / "1.png"
    assert listing.resolve("1.png") == tmp_path / "1.png"


def test_a_name_of_several_files_means_none_of_them(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/1.png")
    listing = Listing.of(tmp_path)
    assert listing.resolve("1.png") is None
    assert names(listing, listing.candidates("1.png")) == ["a/1.png", "b/1.png"]
    assert listing.candidates("") == listing.candidates("none.png") == []


def test_a_path_with_a_folder_does_not_mean_a_file_in_another_one(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    listing = Listing.of(tmp_path)
    assert listing.candidates("gone/1.png") == []
    assert listing.resolve("gone/1.png", by_name=True) == tmp_path / "a/1.png"
    assert listing.resolve("set/a/1.png") == tmp_path / "a/1.png"


def test_a_list_may_name_a_file_elsewhere_by_its_whole_path(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/1.png", "set/2.png")
    listing = Listing.of(tmp_path / "set")
    assert listing.resolve(str(tmp_path / "elsewhere/1.png")) == tmp_path / "elsewhere/1.png"


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not a folder"):
        Listing.of(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every folder")
def test_a_folder_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png")
    (tmp_path / "a").chmod(0)
    try:
        assert Listing.of(tmp_path).broken == (tmp_path / "a",)
    finally:
        (tmp_path / "a").chmod(0o700)


def test_each_text_file_is_read_once_for_what_it_tells(tmp_path, monkeypatch):
    for number in range(3):
        (tmp_path / f"{number}.json").write_text('{"regions": []}')
    listing = Listing.of(tmp_path)
    opened = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: opened.append(path) or read(path))
    for _ in range(4):
        assert [listing.tells(path) for path in listing.all_files] == [{'"regions"'}] * 3
    assert len(opened) == 3
