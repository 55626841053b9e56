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
            "holds 2 .txt file(s), 1 file(s) without a suffix (folders: none); none of them",
        ),
        (
            ["images/a.jpg", "images/b.jpg"],
            "holds 2 .jpg file(s) (folders: images/); a network cannot learn from images alone",
        ),
        (["a.png", "b.png"], "holds 2 .png file(s) (folders: none); a network cannot learn"),
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
