"""A validation, `maskzoo evaluate` and the masks that the service sends have one score."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from maskzoo.service.app import create_app
from maskzoo.service.settings import Settings
from maskzoo.training.config.load import load_config
from maskzoo.training.data.opening import open_dataset
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
