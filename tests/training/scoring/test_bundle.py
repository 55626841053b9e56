"""A bundle is evaluated on the images that its training did not see."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import DataError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.run.fit import TrainResult, train
from maskzoo.training.scoring.bundle import evaluate_bundle, open_as_trained

SEED = 3


@pytest.fixture(scope="module")
def flat(make_data: Callable[..., Path]) -> Path:
    """A folder of images and masks without splits."""
    root = make_data()
    for kind in ("images", "masks"):
        for path in sorted((root / kind).rglob("*.png")):
            path.rename(root / kind / path.name)
        for split in ("train", "val", "test"):
            shutil.rmtree(root / kind / split)
    return root


@pytest.fixture(scope="module")
def result(
    flat: Path, tiny: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """A short run whose seed is not the usual one."""
    run_dir = tmp_path_factory.mktemp("runs") / "one"
    return train(flat, tiny(f"seed={SEED}", "max_steps=4"), run_dir=run_dir)


def test_data_without_splits_is_split_by_the_seed_of_the_training(
    result: TrainResult, flat: Path
) -> None:
    opened = open_as_trained(read_manifest(result.bundle), flat)
    trained, usual = (open_dataset(flat, seed=seed) for seed in (SEED, 0))
    assert opened.splits == trained.splits
    assert set(opened.samples("test")) != set(usual.samples("test"))
    assert not set(opened.samples("test")) & set(trained.samples("train"))


def test_an_evaluation_has_the_scores_that_the_run_gave_its_bundle(
    result: TrainResult, flat: Path
) -> None:
    flipped = evaluate_bundle(
        result.bundle, flat, split="val", device="cpu", options=PredictOptions(tta="flip")
    )
    assert (flipped.split, flipped.options.tta) == ("val", "flip")
    done: list[tuple[int, ...]] = []
    again = evaluate_bundle(
        result.bundle, flat, device="cpu", on_image=lambda *pair: done.append(pair)
    )
    stored = read_manifest(result.bundle).metrics
    assert again.metrics().per_class == stored.per_class
    assert again.metrics().mean_iou_interval == stored.mean_iou_interval
    assert again.bundle == stored.bundle
    assert done[-1] == (again.images, again.images)


def test_data_with_other_classes_is_refused(
    result: TrainResult, make_data: Callable[..., Path]
) -> None:
    other = make_data()
    described = other / "dataset.yaml"
    described.write_text(described.read_text().replace("disc", "square"))
    with pytest.raises(DataError, match="names and order must agree"):
        evaluate_bundle(result.bundle, other)


@pytest.mark.parametrize(
    ("recipe", "asked"),
    [
        (
            {"seed": 3, "masks": "auto", "allow_bad": 2},
            {"seed": 3, "masks": "auto", "allow_bad": 2},
        ),
        (None, {"seed": 0, "masks": None, "allow_bad": 0}),
    ],
)
def test_data_are_opened_with_all_that_the_training_was_told_of_them(
    result: TrainResult,
    flat: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: dict[str, object] | None,
    asked: dict[str, object],
) -> None:
    told: list[dict[str, object]] = []

    def note(data: Path, **options: object) -> SegmentationData:
        told.append(options)
        return open_dataset(data)

    monkeypatch.setattr("maskzoo.training.scoring.bundle.open_dataset", note)
    manifest = read_manifest(result.bundle)
    provenance = manifest.provenance.model_copy(update={"recipe": recipe})
    open_as_trained(manifest.model_copy(update={"provenance": provenance}), flat)
    assert told == [asked]
