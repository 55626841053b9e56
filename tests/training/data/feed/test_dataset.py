from __future__ import annotations

import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from maskzoo.models.errors import DataError
from maskzoo.training.augment import build_augmentation
from maskzoo.training.config.augment import AugmentConfig
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


def test_data_that_changed_after_it_was_opened_is_named(make_folder, masks, write_image, ids):
    data = open_dataset(make_folder(masks))
    sample = data.samples("train")[0]
    write_image(sample.mask, ids(0, 1, 5))
    with pytest.raises(DataError, match=r"train/0\.png: values in no class: 5"):
        data.read(sample)
    write_image(sample.mask, ids(0, 1, height=3))
    with pytest.raises(DataError, match="the mask is 32 x 3, the image 32 x 24"):
        data.read(sample)


def test_crops_have_the_shapes_and_types_that_the_loop_takes(crops):
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
