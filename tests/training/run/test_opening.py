"""The data of a run: inspected and shown when it is new, refused where no run can be made of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.models.labels import LabelSet
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.checkpoint import CheckpointError, RunCheckpoint, RunProgress
from maskzoo.training.run.opening import check_data, open_data


def test_what_is_wrong_with_the_data_is_told_once(
    make_data: Callable[..., Path],
    display: Display,
    shown: Callable[[], str],
) -> None:
    def cut_one(number: int, image: np.ndarray, mask: np.ndarray) -> tuple:
        return image, mask[:40] if number == 2 else mask

    with pytest.raises(DataError, match=r"(?s)1 mask differs in size") as caught:
        open_data(make_data(alter=cut_one), TrainConfig(), display, is_new=True)
    assert "masks/train/02.png: mask 48 x 40, image 48 x 48" in str(caught.value)
    assert "differs in size" not in shown()
    assert "16 images with masks" in shown()
    assert "few images" in shown()


def test_the_data_of_a_run_that_goes_on_is_not_shown_again(
    discs: Path, display: Display, shown: Callable[[], str]
) -> None:
    again = open_data(discs, TrainConfig(), display, is_new=False)
    assert shown() == ""
    assert again.fingerprint == open_data(discs, TrainConfig(), display, is_new=True).fingerprint
    assert "16 images with masks" in shown()


def test_a_run_needs_images_to_train_and_to_validate(discs: Path) -> None:
    data = open_dataset(discs)
    check_data(data, None)
    for split in ("train", "val"):
        kept = tuple(sample for sample in data.all_samples if sample.split != split)
        with pytest.raises(DataError, match=f"has no images in its split '{split}'"):
            check_data(replace(data, all_samples=kept), None)
    without_test = tuple(sample for sample in data.all_samples if sample.split != "test")
    check_data(replace(data, all_samples=without_test), None)


def test_a_run_needs_two_classes(discs: Path) -> None:
    data = replace(open_dataset(discs), labels=LabelSet.from_names(["ground"]))
    with pytest.raises(DataError, match="has one class, 'ground': a segmentation needs at least"):
        check_data(data, None)


def test_a_run_goes_on_with_its_own_data_only(discs: Path) -> None:
    data = open_dataset(discs)
    check_data(data, RunCheckpoint({}, {}, {}, RunProgress(), {}, data.fingerprint))
    with pytest.raises(CheckpointError, match="has changed since this run started"):
        check_data(data, RunCheckpoint({}, {}, {}, RunProgress(), {}, "another"))


@pytest.mark.parametrize("is_new", [True, False])
def test_the_seed_and_the_samples_that_may_be_bad_are_those_of_the_run(
    make_data: Callable[..., Path], display: Display, is_new: bool
) -> None:
    def cut_one(number: int, image: np.ndarray, mask: np.ndarray) -> tuple:
        return image, mask[:40] if number == 2 else mask

    flat = make_data(alter=cut_one)
    for kind in ("images", "masks"):
        for path in sorted((flat / kind).rglob("*.png")):
            path.rename(flat / kind / path.name)
        for split in ("train", "val", "test"):
            (flat / kind / split).rmdir()
    opened = open_data(flat, TrainConfig(seed=3, allow_bad=1), display, is_new=is_new)
    assert len(opened.all_samples) == 15
    assert opened.splits == open_dataset(flat, seed=3, allow_bad=1).splits
    assert opened.splits != open_dataset(flat, seed=0, allow_bad=1).splits
    with pytest.raises(DataError, match="differs in size"):
        open_data(flat, TrainConfig(seed=3), display, is_new=is_new)
