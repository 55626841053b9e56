"""Images without masks: which are taken, what a loader makes of them, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo.models.bundles.bundle import save_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import DataError, SpecError
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import CropDataset, SegmentationData
from maskzoo.training.data.feed.unlabelled import with_unlabelled
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.planning.survey import survey
from maskzoo.training.run.finish import write_draft
from maskzoo.training.run.fit import prepare, run_steps
from tests.models import tiny as tiny_networks


@pytest.fixture
def data(discs: Path) -> SegmentationData:
    return open_dataset(discs)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two new images, one of them below, and a text file."""
    random = np.random.default_rng(9)
    (tmp_path / "more" / "deep").mkdir(parents=True)
    for name, size in (("a.png", (40, 50, 3)), ("deep/b.PNG", (64, 33, 3))):
        Image.fromarray(random.integers(0, 256, size, np.uint8)).save(tmp_path / "more" / name)
    (tmp_path / "more" / "notes.txt").write_text("x")
    return tmp_path / "more"


def test_unlabelled_images_follow_those_of_train_and_every_pixel_is_ignored(
    data: SegmentationData, folder: Path
) -> None:
    together = with_unlabelled(data, folder)

    def whole(image: np.ndarray, mask: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
        return image, mask

    crops, first = CropDataset(together, "train", whole, 0), len(data.samples("train"))
    assert len(crops) == first + 2
    for index, name in enumerate(("a.png", "deep/b.PNG")):
        image, mask = crops[0, first + index]
        expected = np.asarray(Image.open(folder / name)).transpose(2, 0, 1)
        assert torch.equal(image, torch.from_numpy(expected.copy()))
        assert mask.unique().tolist() == [255]
        assert mask.shape == image.shape[1:]
    assert crops[0, 0][1].unique().tolist() == [0, 1]
    assert len(CropDataset(together, "val", whole, 0)) == len(data.samples("val"))


def test_the_survey_counts_their_size_and_none_of_their_pixels(
    data: SegmentationData, folder: Path
) -> None:
    alone, together = survey(data), survey(with_unlabelled(data, folder))
    assert together.sizes == [*alone.sizes, (40, 50), (64, 33)]
    assert together.class_pixels.tolist() == alone.class_pixels.tolist()
    assert together.rarest() == alone.rarest()


def test_images_that_the_data_holds_are_left_out_with_a_note(
    data: SegmentationData, folder: Path
) -> None:
    shutil.copy(data.samples("test")[0].image, folder / "seen.png")
    together = with_unlabelled(data, folder)
    assert [path.name for path in together.unlabelled] == ["a.png", "b.PNG"]
    assert any("1 image of" in note and "(seen.png)" in note for note in together.notes)


def test_a_folder_with_only_known_images_is_refused(data: SegmentationData) -> None:
    with pytest.raises(DataError, match="are in the data already"):
        with_unlabelled(data, data.samples("val")[0].image.parent)


def test_a_folder_without_images_is_refused(data: SegmentationData, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no images: teacher\.images takes a folder"):
        with_unlabelled(data, tmp_path)


def test_an_image_that_cannot_be_read_is_named(data: SegmentationData, folder: Path) -> None:
    (folder / "broken.jpg").write_bytes(b"no")
    with pytest.raises(DataError, match=r"(?s)1 unlabelled image cannot be read.*broken.jpg"):
        with_unlabelled(data, folder)


def test_other_images_are_other_data(data: SegmentationData, folder: Path) -> None:
    before = with_unlabelled(data, folder).fingerprint
    (folder / "a.png").unlink()
    assert len({data.fingerprint, before, with_unlabelled(data, folder).fingerprint}) == 3


def test_images_without_a_teacher_are_a_mistake(tiny: Callable[..., TrainConfig]) -> None:
    with pytest.raises(SpecError, match=r"give teacher\.bundle too"):
        tiny("teacher.images=more")


def test_a_run_crops_them_and_its_bundle_does_not_name_their_path(
    discs: Path,
    folder: Path,
    tiny: Callable[..., TrainConfig],
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    bundle = save_bundle(
        tmp_path / "expert",
        tiny_networks.build("fpn", num_classes=2),
        name="expert",
        labels=LabelSet.from_names(["ground", "disc"]),
        preprocessing=Preprocessing(mean=(0.4,) * 3, std=(0.2,) * 3),
    )
    given = (f"teacher.bundle={bundle}", f"teacher.images={folder}", "epochs=1", "max_steps=null")
    parts = prepare(discs, tiny(*given), run_dir=tmp_path / "run", display=display)
    assert "2 images without masks for the teacher" in shown()
    assert parts.lengths.total_steps == 3  # 12 images in batches of 4
    run_steps(parts, until=3)
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows
    recipe = read_manifest(write_draft(parts)).provenance.recipe
    assert recipe is not None
    assert recipe["teacher"]["images"] == "more"
    assert recipe["teacher"]["bundle"] == "expert"
