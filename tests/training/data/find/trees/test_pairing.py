from __future__ import annotations

import numpy as np
import pytest

from maskzoo.training.data.find.trees.templates import around
from maskzoo.training.data.records.readings.choice import ChoiceError
from tests.training.data.reading import find_pairs


def test_label_train_ids_win_over_label_ids(tmp_path, touch):
    masks = ["gtFine_labelIds", "gtFine_labelTrainIds"]
    touch(["leftImg8bit/train/u/u_0_leftImg8bit.png"])
    touch([f"gtFine/train/u/u_0_{name}.png" for name in masks])
    index = find_pairs(tmp_path)
    assert [pair.mask.stem for pair in index.pairs] == ["u_0_gtFine_labelTrainIds"]
    assert [path.stem for left in index.left_out for path in left.files] == ["u_0_gtFine_labelIds"]


def test_unpaired_files_are_kept_apart(tmp_path, touch):
    touch(["images/a.jpg", "images/b.jpg", "masks/a.png", "masks/c.png"])
    index = find_pairs(tmp_path)
    assert [path.name for path in index.images_without_mask] == ["b.jpg"]
    assert [path.name for path in index.masks_without_image] == ["c.png"]


def test_equal_stems_in_two_splits_stay_apart(tmp_path, touch):
    for split in ("train", "val"):
        touch([f"images/{split}/1.jpg", f"masks/{split}/1.png"])
    assert {pair.stem for pair in find_pairs(tmp_path).pairs} == {"train/1", "val/1"}


def test_anything_may_stand_behind_the_stem_where_masks_are_of_objects(tmp_path, touch):
    touch([f"images/{n}_b.png" for n in range(40)])
    touch([f"masks/{n}_b_{place}_{n}.png" for n in range(40) for place in range(3 + n % 2)])
    index = find_pairs(tmp_path)
    parts = {p.stem: [f.name for f in index.annotations.files(p.image)] for p in index.pairs}
    assert parts == {
        f"{n}_b": [f"{n}_b_{place}_{n}.png" for place in range(3 + n % 2)] for n in range(40)
    }


def test_masks_of_several_people_are_not_joined(tmp_path, touch, write_image):
    for place, name in enumerate(("1stHO", "2ndHO")):
        for number in range(4):
            touch([f"images/{number}.jpg"])
            mask = np.zeros((4, 5), np.uint8)
            mask[:, 2 * place] = 255  # beside each other, as two classes are
            write_image(tmp_path / f"masks/{number}_{name}.png", mask)
    with pytest.raises(ChoiceError) as caught:
        find_pairs(tmp_path)
    assert [choice.name for choice in caught.value.choices] == [
        "masks/*_1stHO.png",
        "masks/*_2ndHO.png",
    ]


def test_objects_that_are_numbered_behind_the_word_mask_are_joined(tmp_path, make_masks):
    """As in BUSI: `benign (2)_mask.png` and, for a second object, `benign (2)_mask_1.png`."""
    make_masks(["benign ({n}).png"], ["benign ({n})_mask.png"], range(1, 7))
    make_masks([], ["benign ({n})_mask_1.png"], (2, 5))
    index = find_pairs(tmp_path)
    assert len(index.pairs) == 6
    assert sum(len(index.annotations.files(pair.image)) for pair in index.pairs) == 8
    assert index.images_without_mask == index.masks_without_image == ()


@pytest.mark.parametrize(
    "names", [["{n}_mask_1.png", "{n}_mask_2.png"], ["{n}_mask.png", "{n}_mask_2.png"]]
)
def test_masks_that_every_image_has_are_asked_for_although_they_are_numbered(
    tmp_path, make_masks, names
):
    make_masks(["{n}.png"], names, range(6))
    with pytest.raises(ChoiceError) as caught:
        find_pairs(tmp_path)
    assert {"*_mask_2.png"} < {choice.name for choice in caught.value.choices}


def test_the_number_alone_is_the_name_of_a_mask(tmp_path, make_masks):
    make_masks(["images/img_{n}.png"], ["masks/mask_{n}.png"], range(3))
    assert len(find_pairs(tmp_path).pairs) == 3


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_masks_in_two_formats_are_asked_for_by_names_that_differ(tmp_path, make_masks, suffix):
    make_masks(["images/{n}.jpg"], ["masks/{n}.png", f"masks/{{n}}{suffix}"], range(4))
    with pytest.raises(ChoiceError) as caught:
        find_pairs(tmp_path)
    names = [choice.name for choice in caught.value.choices]
    assert len(set(names)) == len(names) == 2
    assert {choice.image for choice in caught.value.choices} == {"images/0.jpg"}


def test_a_key_is_found_where_it_is_not_a_part_of_a_number():
    assert around("dsm_09cm_area9", "9") == ("dsm_09cm_area", "")
    assert around("dsm_09cm_area0", "0") == ("dsm_09cm_area", "")
    assert around("a9", "9") == ("a", "")
    assert around("99", "9") == ("", "9")
    assert around("x", "9") == ("x", "")
