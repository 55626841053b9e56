from __future__ import annotations

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.described.reading import read_described
from maskzoo.training.data.find.folders import pair_folders
from maskzoo.training.data.find.layouts import find_of_format
from maskzoo.training.data.records.description import Description
from tests.training.data.reading import find_pairs


def test_named_folders_replace_the_search(tmp_path, touch):
    touch(["blue/a.jpg", "red/a.png", "images/z.jpg", "masks/z.png"])
    pairs = read_described(
        Listing.of(tmp_path), Description(images="blue", masks="red"), find_of_format, pair_folders
    ).pairs
    assert [pair.stem for pair in pairs] == ["a"]


def test_a_folder_without_pairs_says_what_is_expected(tmp_path):
    (tmp_path / "stuff").mkdir()
    (tmp_path / "stuff" / "x.bin").touch()
    with pytest.raises(DataError, match=r"folders: stuff/\).*; expected images/\{train,val,test\}"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "which holds no files; expected"),
        (
            ["a.txt", "b.txt", "c"],
            "holds 2 .txt files, 1 file without a suffix (folders: none); none of them",
        ),
        (
            ["images/a.jpg", "images/b.jpg"],
            "holds 2 .jpg files (folders: images/); a network cannot learn from images alone",
        ),
        (["a.png", "b.png"], "holds 2 .png files (folders: none); a network cannot learn"),
    ],
)
def test_the_message_for_an_unknown_folder_says_what_it_holds(tmp_path, files, words):
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        find_pairs(tmp_path)
    assert words in str(caught.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match="is not a folder"):
        find_pairs(tmp_path / "absent")


def test_the_one_folder_of_an_archive_may_have_a_readme_beside_it(tmp_path, touch):
    touch(["a.v1/train/a.jpg", "a.v1/train/a_mask.png"])
    (tmp_path / "README.txt").write_text("thanks")
    (pair,) = find_pairs(tmp_path).pairs
    assert pair.split == "train"


def test_the_message_for_images_alone_has_the_nearest_yaml(tmp_path, touch):
    touch(["photos of cells/1.jpg", "photos of cells/2.jpg", "3.png"])
    with pytest.raises(DataError) as caught:
        find_pairs(tmp_path)
    assert 'images: "photos of cells/{stem}.jpg"\n  masks: "FOLDER/{stem}.png"' in str(caught.value)


def test_folders_whose_names_have_nothing_in_common_are_told_so(tmp_path, touch):
    touch(["images/1.png", "images/2.png", "masks/001.png", "masks/002.png"])
    with pytest.raises(DataError, match=r"images/ \(1.png, 2.png …\) and in masks/ \(001.png"):
        find_pairs(tmp_path)


def test_folders_of_masks_that_are_named_after_images_are_told_with_the_yaml(tmp_path, make_masks):
    make_masks(["images/a{n}.png"], ["masks/a{n}/road.png", "masks/a{n}/car.png"], range(4))
    with pytest.raises(DataError, match=r"have a folder each in masks/") as caught:
        find_pairs(tmp_path)
    _, lines = str(caught.value).split("dataset.yaml\n")
    keys = dict(line.strip().replace('"', "").split(": ") for line in lines.splitlines()[:2])
    for masks, names in ((keys["masks"], {"road", "car"}), ("masks/{stem}/*.png", {"foreground"})):
        described = Description(images=keys["images"], masks=masks)
        index = read_described(Listing.of(tmp_path), described, find_of_format, pair_folders)
        assert len(index.pairs) == 4
        assert set(index.annotations.names) == names


def test_names_that_stand_for_two_images_are_told_and_the_yaml_decides(tmp_path, touch):
    touch([f"{folder}/{n}.png" for folder in ("images", "masks") for n in (1, 2)])
    touch([f"images/{n}.tif" for n in (1, 2)])
    with pytest.raises(DataError, match=r"images/ holds 4 files.* 1.png and 1.tif") as caught:
        find_pairs(tmp_path)
    _, lines = str(caught.value).split("dataset.yaml:\n")
    keys = dict(line.strip().replace('"', "").split(": ") for line in lines.splitlines())
    index = read_described(Listing.of(tmp_path), Description(**keys), find_of_format, pair_folders)
    assert len(index.pairs) == 2
