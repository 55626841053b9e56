from __future__ import annotations

import pytest

from tests.training.data.reading import find_pairs


@pytest.mark.parametrize(
    ("images", "masks"),
    [("{p}_images", "{p}_masks"), ("Img-{p}", "Gt-{p}"), ("{p}.png/images", "{p}.png/masks")],
)
def test_words_beside_the_roles_are_parts_of_the_data(images, masks, tmp_path, touch) -> None:
    parts = ("site 1", "site 2")
    touch([f"{images.format(p=part)}/{n}.png" for part in parts for n in (1, 2)])
    touch([f"{masks.format(p=part)}/{n}.png" for part in parts for n in (1, 2)])
    index = find_pairs(tmp_path)
    assert {pair.stem for pair in index.pairs} == {
        f"{part}{'.png' if '.png' in images else ''}/{n}" for part in parts for n in (1, 2)
    }
    assert all(part in str(pair.mask) for pair in index.pairs for part in [pair.stem[:6]])


def test_words_that_differ_between_images_and_masks_are_none(tmp_path, touch) -> None:
    touch(["CXR_images/1.png", "lung_masks/1.png"])
    index = find_pairs(tmp_path)
    assert [pair.stem for pair in index.pairs] == ["1"]
    assert index.origin.keys == {
        "images": "CXR_images/{stem}.png",
        "masks": "lung_masks/{stem}.png",
    }
