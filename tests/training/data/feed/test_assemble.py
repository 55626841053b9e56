from __future__ import annotations

import pytest

from maskzoo.training.data.opening import open_dataset


@pytest.fixture
def masks(ids):
    splits = ["train"] * 5 + ["val"] * 3
    return {f"{split}/{number}": ids(0, 1, 1) for number, split in enumerate(splits)}


def test_the_fingerprint_follows_contents_and_not_places(make_folder, masks, ids):
    first = open_dataset(make_folder(masks, name="one")).fingerprint
    assert open_dataset(make_folder(masks, name="two")).fingerprint == first
    masks["val/5"] = ids(0, 0, 1)
    assert open_dataset(make_folder(masks, name="three")).fingerprint != first
