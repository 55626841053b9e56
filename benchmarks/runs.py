"""Training runs of `maskzoo train` for comparisons, each run once and stored."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]

# A narrow network from random weights learns the shipped data sets in a minute on two cores.
RECIPE: dict[str, Any] = {
    "model.encoder": "tu-resnet18",
    "model.encoder_options": {"channels": [16, 32, 64, 128], "stem_type": "deep", "stem_width": 8},
    "batch_size": 8,
    "optimizer.lr": 3e-3,
    "optimizer.head_lr_mult": 1.0,
    "loader.crop_size": 128,
    "loader.num_workers": 1,
    "augment.rotate90": 1.0,
    "augment.flip_vertical": 0.5,
    "validate_every": 1000,  # only once, at the end: the choice of a best step would be one more
    "ema": 0.99,
}


@dataclass(frozen=True)
class Score:
    """What one run came to: mean IoU of 0 to 1, processor seconds with reading and scoring."""

    mean_iou: float
    seconds: float


def trained(data: Path, folder: Path, settings: Mapping[str, Any]) -> Score:
    """Return the score of the run in `folder` on the test split, trained now if it is not there.

    Raises:
        subprocess.CalledProcessError: the training failed; `folder/log.txt` says why.
    """
    record = folder / "score.json"
    if not record.exists():
        words = [f"{key}={json.dumps(value)}" for key, value in settings.items()]
        if (folder / "last.ckpt").exists():
            words.append("--resume")
        command = [sys.executable, "-m", "maskzoo", "train", data, "-o", folder, *words]
        folder.mkdir(parents=True, exist_ok=True)
        start = processor_seconds()
        with (folder / "log.txt").open("a") as log:
            subprocess.run(list(map(str, command)), stdout=log, stderr=log, check=True)
        metrics = json.loads((folder / "bundle" / "bundle.json").read_text())["metrics"]
        found = {"mean_iou": metrics["mean_iou"], "seconds": processor_seconds() - start}
        record.write_text(json.dumps(found), encoding="utf-8")
    return Score(**json.loads(record.read_text(encoding="utf-8")))


def processor_seconds() -> float:
    """Return the time that finished child processes, and theirs, have had of the processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
