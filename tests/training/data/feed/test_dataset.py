from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from maskzoo.models.errors import DataError
from maskzoo.training.augment import AugmentConfig, build_augmentation
from maskzoo.training.data.feed.dataset import CropDataset, sample_seed
from maskzoo.training.data.opening import open_dataset

FIXED = {"rare_class_crops": 0, "flip_vertical": 0, "rotate90": 0}


@pytest.fixture
def masks(ids):
    splits = ["train"] * 5 + ["val"] * 3
    return {f"{split}/{number}": ids(0, 1, 1) for number, split in enumerate(splits)}


@pytest.fixture
def crops(make_folder, masks):
    def build(**options):
        data = open_dataset(make_folder(masks))
        augmentation = build_augmentation(AugmentConfig(noise=1.0, **FIXED), crop=(16, 20))
        return CropDataset(data, "train", augmentation, 7, **options)

    return build


def test_a_folder_opens_and_reads(make_folder, masks):
    data = open_dataset(make_folder(masks))
    assert {split: len(samples) for split, samples in data.splits.items()} == {"train": 5, "val": 3}
    image, mask = data.read(data.samples("val")[0])
    assert (image.shape, image.dtype, mask.dtype) == ((24, 32, 3), np.uint8, np.uint8)
    assert mask.tolist() == masks["val/5"].tolist()
    assert data.pixels["train"] == (5 * 24 * 11, 5 * 24 * 21)
    assert data.sizes["0"] == (24, 32)
    assert data.presence["0"] == {0, 1}


def test_the_fingerprint_follows_contents_and_not_places(make_folder, masks, ids):
    first = open_dataset(make_folder(masks, name="one")).fingerprint
    assert open_dataset(make_folder(masks, name="two")).fingerprint == first
    masks["val/5"] = ids(0, 0, 1)
    assert open_dataset(make_folder(masks, name="three")).fingerprint != first


def test_a_folder_without_val_gets_one_and_says_so(make_folder, ids):
    data = open_dataset(make_folder({f"train/{number}": ids(0, 1) for number in range(12)}))
    assert data.splits.keys() == {"train", "val"}
    assert any("there is no val" in note for note in data.notes)


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


def test_a_description_may_lie_elsewhere(make_folder, masks, tmp_path):
    root = make_folder(masks)
    path = tmp_path / "elsewhere" / "my.yaml"
    path.parent.mkdir()
    path.write_text(
        "root: ../set\nencoding: values\n"
        "classes: [{name: sea, values: [0]}, {name: land, values: [1]}]"
    )
    assert open_dataset(path).labels.names == ("sea", "land")
    assert open_dataset(root, description=path).labels.names == ("sea", "land")


def test_errors_stop_and_bad_files_can_be_allowed(make_folder, masks, write_picture, ids):
    root = make_folder(masks)
    write_picture(root / "masks" / "train" / "1.png", ids(0, 1, height=5, width=5))
    with pytest.raises(DataError, match=r"(?s)cannot be used as it is.*masks/train/1\.png"):
        open_dataset(root)
    data = open_dataset(root, allow_bad=1)
    assert "1" not in {sample.stem for sample in data.all_samples}
    assert "1 sample(s) with errors are left out: 1" in data.notes


def test_excluded_samples_are_left_out_with_a_note(make_folder, masks):
    root = make_folder(masks)
    (root / "dataset.yaml").write_text("exclude: ['1', nobody]")
    data = open_dataset(root)
    assert len(data.all_samples) == 7
    assert any("1 sample(s) are left out: exclude in dataset.yaml" in note for note in data.notes)
    assert any("exclude lists 1 stem(s) that no sample has: nobody" in note for note in data.notes)


def test_data_that_changed_after_it_was_opened_is_named(make_folder, masks, write_picture, ids):
    data = open_dataset(make_folder(masks))
    sample = data.samples("train")[0]
    write_picture(sample.mask, ids(0, 1, 5))
    with pytest.raises(DataError, match=r"train/0\.png: value\(s\) in no class: 5"):
        data.read(sample)
    write_picture(sample.mask, ids(0, 1, height=3))
    with pytest.raises(DataError, match="the mask is 32 x 3, the image 32 x 24"):
        data.read(sample)


def test_crops_have_the_form_that_the_loop_takes(crops):
    image, mask = crops()[0, 3]
    assert (image.shape, image.dtype) == ((3, 16, 20), torch.uint8)
    assert (mask.shape, mask.dtype) == ((16, 20), torch.int64)


def test_crops_depend_on_seed_epoch_and_index_alone(crops):
    first, second = crops(), crops()
    _ = [second[9, index] for index in range(5)]
    for place in ((0, 0), (0, 1), (1, 0)):
        assert torch.equal(first[place][0], second[place][0])
        assert torch.equal(first[place][1], second[place][1])
    assert not torch.equal(first[0, 0][0], first[1, 0][0])


def test_workers_do_not_change_the_crops(crops):
    places = [[(epoch, index)] for epoch in range(2) for index in range(5)]
    batches = [
        [batch[0] for batch in DataLoader(crops(), batch_sampler=places, num_workers=workers)]
        for workers in (0, 1, 2)
    ]
    for other in batches[1:]:
        assert all(torch.equal(a, b) for a, b in zip(batches[0], other, strict=True))


def test_seeds_of_samples_differ():
    seeds = {sample_seed(a, b, c) for a in range(3) for b in range(20) for c in range(50)}
    assert len(seeds) == 3 * 20 * 50


def test_an_opened_data_set_can_be_sent_to_workers(make_folder, masks):
    data = open_dataset(make_folder(masks))
    assert pickle.loads(pickle.dumps(data)) == data


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


def test_real_aerial_says_what_it_ignores_and_whom_it_does_not_believe(aerial):
    assert sizes(aerial) == (48, 8, 16)
    assert aerial.labels.names == ("building", "land", "road", "vegetation", "water")
    assert any("#000000" in note and "in 9 files" in note for note in aerial.notes)
    assert any("WRONG_COLOURS.json is not believed" in note for note in aerial.notes)


def test_real_aerial_masks_agree_with_a_reading_by_colour(aerial):
    pictures = {}
    for sample in sorted(aerial.all_samples, key=lambda item: item.mask.stat().st_size)[:30]:
        with Image.open(sample.mask) as picture:
            pictures.setdefault(picture.mode, (sample, np.asarray(picture.convert("RGB"))))
    assert pictures.keys() == {"RGB", "P"}
    for sample, rgb in pictures.values():
        labels = aerial.read(sample)[1]
        for label, colour in enumerate(aerial.labels.colours):
            assert np.array_equal(labels == label, (rgb == colour).all(axis=-1))
