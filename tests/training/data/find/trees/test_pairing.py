from __future__ import annotations

import numpy as np
import pytest

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
