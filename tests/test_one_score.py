"""A validation, `maskzoo evaluate` and the masks that are written have one score."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from starlette.testclient import TestClient

from maskzoo import cli
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.service.app import create_app
from maskzoo.service.settings import Settings
from maskzoo.training.config.load import load_config
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.run.fit import TrainResult, train
from maskzoo.training.scoring.bundle import evaluate_bundle
from maskzoo.training.scoring.metrics import ConfusionMatrix

SETTINGS = (
    "model.architecture=unet",
    "model.encoder=tu-resnet10t",
    "model.encoder_options={channels: [4, 8, 8, 16], stem_width: 4}",
    "model.options={channels: [8, 8, 8, 8]}",
    "optimizer.lr=0.02",
    "loader.crop_size=32",
    "loader.num_workers=0",
    "batch_size=4",
    "runtime.micro_batch=4",
    "epochs=100",
    "max_steps=12",
    "validate_every=1",
    "ema=0.8",
    "runtime.accelerator=cpu",
    "runtime.precision=fp32",
    "bundle.name=discs",
    "bundle.dtype=float32",  # half precision would be another network than the validated one
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy discs of odd sizes; ten to train, five to validate."""
    root = tmp_path_factory.mktemp("data") / "discs"
    random = np.random.default_rng(0)
    for split, count in (("train", 10), ("val", 5)):
        for kind in ("images", "masks"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            height, width = 40 + 3 * number, 57 + number
            rows, columns = np.mgrid[:height, :width]
            disc = (rows - height / 2) ** 2 + (columns - 20 - number) ** 2 < 15**2
            image = random.normal(90, 50, (height, width, 3)) + 60 * disc[:, :, None]
            name = f"{split}{number}.png"
            Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(
                root / "images" / split / name
            )
            mask = disc.astype(np.uint8)
            mask[:3] = 255
            Image.fromarray(mask).save(root / "masks" / split / name)
    lines = "encoding: values\nignore: [255]\nclasses:\n"
    lines += "  - {name: ground, values: [0]}\n  - {name: disc, values: [1]}\n"
    (root / "dataset.yaml").write_text(lines)
    return root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """A short run, whose best validation is not perfect."""
    return train(
        folder, load_config(list(SETTINGS)), run_dir=tmp_path_factory.mktemp("runs") / "one"
    )


def run_command(*arguments: object) -> None:
    """Run `maskzoo` in this process."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert not ended.value.code


def untimed(path: Path) -> dict[str, Any]:
    """Return the scores in full, as a file holds them, without the times."""
    return {**json.loads(path.read_text()), "seconds_per_image": None}


@pytest.mark.parametrize("exported", ["none", pytest.param("openvino", marks=pytest.mark.slow)])
def test_the_last_table_of_a_training_is_that_of_evaluate_digit_by_digit(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], exported: str
) -> None:
    if exported != "none":
        pytest.importorskip(exported)
    shown = io.StringIO()
    settings = [*SETTINGS, f"bundle.engine={exported}", "max_steps=2"]
    run_dir = tmp_path / "run"
    display = Display(Console(file=shown, width=200))
    bundle = train(folder, load_config(settings), run_dir=run_dir, display=display).bundle
    told = untimed(run_dir / "evaluation.json")
    assert told["engine"] == ("torch" if exported == "none" else exported)
    tables = {}
    for engine in ("auto", "torch"):
        words = [str(bundle), str(folder), "--split", "val", "--device", "cpu", "--engine", engine]
        run_command("evaluate", *words)
        tables[engine] = [line.rstrip() for line in capsys.readouterr().out.strip().splitlines()]
        run_command("evaluate", *words, "--json")
        (tmp_path / "again.json").write_text(capsys.readouterr().out)
        again = untimed(tmp_path / "again.json")
        assert again["engine"] == ("torch" if engine == "torch" else told["engine"])
        if engine == "auto" or exported == "none":
            assert again == told
    lines = [line.rstrip() for line in shown.getvalue().splitlines()]
    start = next(n for n, line in enumerate(lines) if line.startswith("discs on discs, split val"))
    assert lines[start : start + len(tables["auto"])] == tables["auto"]
    if exported == "none":
        assert tables["torch"] == tables["auto"]
    assert read_manifest(bundle).metrics.engine == told["engine"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["auto", "torch"])
def test_all_scores_follow_from_the_masks_that_predict_writes(
    run: TrainResult,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    engine: str,
) -> None:
    how = ["--device", "cpu", "--engine", engine]
    images = folder / "images" / "val"
    run_command("predict", run.bundle, images, "-o", tmp_path, *how)
    capsys.readouterr()
    words = [str(run.bundle), str(folder), "--split", "val", *how, "--json"]
    run_command("evaluate", *words)
    scores = json.loads(capsys.readouterr().out)
    hits, truths, predicted = np.zeros((3, 5, 2), int)  # by image and class
    for number in range(5):
        truth = np.asarray(Image.open(folder / "masks" / "val" / f"val{number}.png"))
        (written,) = (tmp_path / "masks").glob(f"val{number}.*")
        mask = np.asarray(Image.open(written))
        for index in (0, 1):
            hits[number, index] = ((truth == index) & (mask == index)).sum()
            truths[number, index] = (truth == index).sum()
            predicted[number, index] = ((mask == index) & (truth != 255)).sum()
    iou, dice = hits / (truths + predicted - hits), 2 * hits / (truths + predicted)
    total, in_truth, in_masks = hits.sum(0), truths.sum(0), predicted.sum(0)
    pooled_iou = total / (in_truth + in_masks - total)
    pooled_dice = 2 * total / (in_truth + in_masks)
    for index, row in enumerate(scores["per_class"]):
        assert row["iou"] == pooled_iou[index]
        assert row["dice"] == pooled_dice[index]
        assert row["recall"] == total[index] / in_truth[index]
        assert row["precision"] == total[index] / in_masks[index]
        assert row["image_iou"] == pytest.approx(iou[:, index].mean(), abs=1e-14)
        assert row["image_dice"] == pytest.approx(dice[:, index].mean(), abs=1e-14)
    assert scores["mean_iou"] == scores["mean_iou_all"] == pytest.approx(pooled_iou.mean())
    assert scores["mean_dice"] == scores["mean_dice_all"] == pytest.approx(pooled_dice.mean())
    assert scores["mean_image_iou"] == pytest.approx(iou.mean(0).mean(), abs=1e-14)
    assert scores["mean_image_dice"] == pytest.approx(dice.mean(0).mean(), abs=1e-14)
    assert scores["pixel_accuracy"] == total.sum() / truths.sum()


def fetched(client: TestClient, path: Path) -> np.ndarray:
    """Send an image file to the service and return its mask."""
    answer = client.post(
        "/segment?model=discs",
        content=path.read_bytes(),
        headers={"Content-Type": "image/png", "Accept": "image/png"},
    )
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as mask:
        return np.array(mask)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_validation_evaluation_and_service_agree(
    run: TrainResult, folder: Path, engine: str
) -> None:
    records = [row for row in read_log(run.run_dir / "log.jsonl") if row["kind"] == "val"]
    validation = max(row["mean_iou"] for row in records)
    evaluated = evaluate_bundle(run.bundle, folder, split="val", device="cpu", engine=engine)
    data = open_dataset(folder)
    served = ConfusionMatrix(2, ignore_index=255)
    with TestClient(create_app(Settings(bundles=(run.bundle,), engine=engine))) as client:
        for sample in data.samples("val"):
            _, truth = data.read(sample)
            served.update(truth, fetched(client, sample.image))
    assert 0.5 < validation < 1
    # A faster engine may change one pixel of a thousand; torch, as in the validation, none.
    tolerance = 0 if engine == "torch" else 0.005
    assert evaluated.scores.mean_iou == pytest.approx(validation, abs=tolerance, rel=0)
    np.testing.assert_array_equal(served.counts, evaluated.matrix)
    assert served.scores(data.labels.names) == evaluated.scores
