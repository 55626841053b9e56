from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.check.overview import draw_overview
from maskzoo.training.data.check.writing import write_description
from maskzoo.training.data.opening import accept, inspect, open_dataset
from maskzoo.training.data.records.problems import DataProblem


@pytest.fixture
def masks(ids):
    splits = ["train"] * 5 + ["val"] * 3
    return {f"{split}/{number}": ids(0, 1, 1) for number, split in enumerate(splits)}


def test_a_folder_opens_and_reads(make_folder, masks):
    data = open_dataset(make_folder(masks))
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 5, "val": 3}
    image, mask = data.read(data.samples("val")[0])
    assert (image.shape, image.dtype, mask.dtype) == ((24, 32, 3), np.uint8, np.uint8)
    assert mask.tolist() == masks["val/5"].tolist()
    assert data.pixels["train"] == (5 * 24 * 11, 5 * 24 * 21)
    assert data.sizes["0"] == (24, 32)
    assert data.presence["0"] == {0, 1}


def test_errors_stop_and_bad_files_can_be_allowed(make_folder, masks, write_image, ids):
    root = make_folder(masks)
    write_image(root / "masks" / "train" / "1.png", ids(0, 1, height=5, width=5))
    with pytest.raises(DataError, match=r"(?s)cannot be used as it is.*masks/train/1\.png"):
        open_dataset(root)
    data = open_dataset(root, allow_bad=1)
    assert "1" not in {sample.stem for sample in data.all_samples}
    assert "1 sample with errors left out: 1" in data.notes


def test_a_bad_sample_is_not_left_out_where_its_split_would_be_empty(make_folder, write_image, ids):
    splits = ["train"] * 5 + ["val"]
    root = make_folder({f"{split}/{number}": ids(0, 1, 1) for number, split in enumerate(splits)})
    write_image(root / "masks" / "val" / "5.png", ids(0, 1, height=5, width=5))
    with pytest.raises(DataError, match="cannot be used as it is"):
        open_dataset(root, allow_bad=1)


def test_an_error_of_no_sample_is_never_allowed(make_folder, masks):
    inspection = inspect(make_folder(masks))
    error = DataProblem("odd", "error", "all of it is odd", "start again", ())
    with pytest.raises(DataError, match="all of it is odd"):
        accept(replace(inspection, problems=(error,)), allow_bad=99)


@pytest.fixture(scope="module")
def aerial(shared):
    return open_dataset(shared / "data" / "aerial")


def sizes(data):
    return tuple(len(data.samples(split)) for split in ("train", "val", "test"))


def test_real_nuclei_open_without_any_edit(shared):
    data = open_dataset(shared / "data" / "nuclei")
    assert sizes(data) == (460, 73, 131)
    assert data.labels.names == ("background", "foreground")
    image, mask = data.read(data.samples("test")[0])
    assert image.shape[:2] == mask.shape


def test_real_camvid_is_known_and_its_void_ignored(shared):
    data = open_dataset(shared / "data" / "camvid")
    assert sizes(data) == (367, 101, 233)
    assert data.labels.num_classes == 11
    assert data.labels.names[3] == "road"
    assert np.isin(data.read(data.samples("train")[0])[1], [*range(11), 255]).all()


def test_real_aerial_says_what_it_ignores_and_which_list_it_does_not_believe(aerial):
    assert sizes(aerial) == (48, 8, 16)
    assert aerial.labels.names == ("building", "land", "road", "vegetation", "water")
    assert any("#000000" in note and "in 9 files" in note for note in aerial.notes)
    assert any("WRONG_COLOURS.json is not believed" in note for note in aerial.notes)


def test_real_aerial_masks_agree_with_a_reading_by_colour(aerial):
    by_mode = {}
    for sample in sorted(aerial.all_samples, key=lambda item: item.mask.stat().st_size)[:30]:
        with Image.open(sample.mask) as image:
            by_mode.setdefault(image.mode, (sample, np.asarray(image.convert("RGB"))))
    assert by_mode.keys() == {"RGB", "P"}
    for sample, rgb in by_mode.values():
        labels = aerial.read(sample)[1]
        for label, colour in enumerate(aerial.labels.colours):
            assert np.array_equal(labels == label, (rgb == colour).all(axis=-1))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "warnings"), [("nuclei", 1), ("aerial", 1), ("camvid", 0)])
def test_real_data_is_usable_as_it_is(shared, tmp_path, name, warnings):
    report = inspect(shared / "data" / name)
    assert report.num_errors == 0
    assert len(report.problems) == warnings
    draw_overview(report, tmp_path / "overview.png")
    written = open_dataset(write_description(report, tmp_path / "dataset.yaml"))
    assert written.fingerprint == accept(report).fingerprint
