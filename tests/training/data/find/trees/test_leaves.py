from __future__ import annotations

import random
from pathlib import Path

import pytest

from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.trees.leaves import LeavesByKey, find_leaves
from maskzoo.training.data.find.trees.records import Leaf


def leaf(number: int, key: tuple[str, ...]) -> Leaf:
    folder = Path(f"{number:03}")
    return Leaf(folder, key, (folder / "a.png",), None, None, "", key, frozenset(), key)


def fits(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    short, long = sorted((one, other), key=len)
    rest = iter(long)
    return all(part in rest for part in short)


def test_the_index_finds_what_a_look_at_every_folder_finds() -> None:
    rng = random.Random(0)
    keys = [tuple(rng.choices("abcd", k=rng.randrange(4))) for _ in range(200)]
    leaves = [leaf(number, key) for number, key in enumerate(keys)]
    index = LeavesByKey(leaves)
    for key in {*keys, ("a", "b", "c", "d", "a"), ("e",)}:
        assert index.equal(key) == [one for one in leaves if one.key == key]
        assert index.fitting(key) == [one for one in leaves if fits(one.key, key)]


@pytest.mark.parametrize(
    ("files", "roles"),
    [
        (
            ["train/images/images/a.png", "train/Semantic_masks/images/a.png"],
            {"train/images/images": "image", "train/Semantic_masks/images": "mask"},
        ),
        (
            ["segmentation/images/a.png", "segmentation/masks/a.png"],
            {"segmentation/images": "image", "segmentation/masks": "mask"},
        ),
        (
            ["train/labels/images/a.png", "val/images/a.png"],
            {"train/labels/images": "image", "val/images": "image"},
        ),
    ],
)
def test_the_deepest_word_says_what_a_folder_holds_unless_it_lies_beside_images(
    tmp_path, touch, files, roles
) -> None:
    touch(files)
    found = find_leaves(Listing.of(tmp_path), tmp_path)
    assert {leaf.folder.relative_to(tmp_path).as_posix(): leaf.role for leaf in found} == roles
