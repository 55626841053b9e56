from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import inspect, open_dataset


def test_masks_of_which_none_can_be_read_are_an_error_with_the_reasons(
    tmp_path, write_image, photo
):
    (tmp_path / "masks").mkdir()
    for number in range(5):
        write_image(tmp_path / "images" / f"{number}.png", photo(number, 40, 40))
        (tmp_path / "masks" / f"{number}.png").write_text("not an image")
    with pytest.raises(DataError, match=r"none of the 5 masks.*masks/0\.png and 4 others: "):
        inspect(tmp_path)


@pytest.fixture
def masks(ids):
    splits = ["train"] * 5 + ["val"] * 3
    return {f"{split}/{number}": ids(0, 1, 1) for number, split in enumerate(splits)}


def test_a_reason_that_many_masks_share_is_told_once(images):
    (images / "masks").mkdir()
    for number in range(6):
        np.savez(images / "masks" / f"{number}.npz", a=np.ones((24, 32)), b=np.ones((24, 32)))
    with pytest.raises(DataError) as caught:
        inspect(images)
    text = str(caught.value)
    assert "0.npz and 5 others: the file holds the arrays a (24, 32), b (24, 32)" in text
    assert text.count("name the one that is the mask") == 1


def test_excluded_samples_are_left_out_with_a_note(make_folder, masks):
    root = make_folder(masks)
    (root / "dataset.yaml").write_text("exclude: ['1', nobody]")
    data = open_dataset(root)
    assert len(data.all_samples) == 7
    assert any("1 sample left out: exclude in dataset.yaml" in note for note in data.notes)
    assert any("exclude lists 1 stem that no sample has: nobody" in note for note in data.notes)


def test_a_split_file_decides(make_folder, ids):
    root = make_folder({"a": ids(0, 1), "b": ids(0, 1), "c": ids(0, 1)})
    (root / "s.csv").write_text("stem,split\na,val\nb,train\nc,test\n")
    (root / "dataset.yaml").write_text("splits: {file: s.csv}")
    data = open_dataset(root)
    assert [(sample.stem, sample.split) for sample in data.all_samples] == [
        ("b", "train"),
        ("a", "val"),
        ("c", "test"),
    ]


def test_a_folder_without_val_gets_one_and_says_so(make_folder, ids):
    data = open_dataset(make_folder({f"train/{number}": ids(0, 1) for number in range(12)}))
    assert data.splits.keys() == {"train", "val"}
    assert any("there is no val" in note for note in data.notes)


def test_a_drawn_split_is_not_refused_for_equal_files(make_folder, ids):
    root = make_folder({f"{number:02}": ids(0, 1) for number in range(24)})
    for number in range(0, 24, 3):
        (root / "images" / f"{number:02}.png").write_bytes(
            (root / "images" / "00.png").read_bytes()
        )
    report = inspect(root)
    assert "leakage" not in {problem.kind for problem in report.problems}
    assert any(
        "8 images equal another and share its split" in note for note in report.findings.notes
    )


def test_a_choice_of_masks_beside_a_description_of_them_is_refused_and_not_dropped(
    make_folder, masks
):
    root = make_folder(masks)
    (root / "dataset.yaml").write_text("images: images\nmasks: masks\n")
    assert len(open_dataset(root).all_samples) == 8
    with pytest.raises(DataError, match=r"--masks 'other' .* dataset\.yaml already says where"):
        open_dataset(root, masks="other")


def test_the_seed_in_dataset_yaml_stands_over_the_one_given(make_folder, ids):
    root = make_folder({f"{number}": ids(0, 1, 1) for number in range(20)})
    drawn = {seed: open_dataset(root, seed=seed).splits for seed in (0, 3)}
    assert drawn[0] != drawn[3]
    (root / "dataset.yaml").write_text("splits: {seed: 3}")
    for seed in (0, 3):
        assert open_dataset(root, seed=seed).splits == drawn[3]


def test_a_description_that_lies_elsewhere_leaves_the_folders_own_unused(
    make_folder, ids, tmp_path
):
    root = make_folder(
        {f"train/{number}": ids(0, 1, 1) for number in range(4)} | {"val/9": ids(0, 1)}
    )
    (root / "dataset.yaml").write_text("name: inside")
    other = tmp_path / "elsewhere.yaml"
    other.write_text("name: outside")
    for description, used in ((None, 1), (other, 0)):
        report = inspect(root, description=description, deep=False)
        files = report.to_json()["account"]["files"]
        assert files["used"].get("description", 0) == used
