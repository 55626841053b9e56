"""A small network for a CPU: trained alone, and taught by a larger one.

    python benchmarks/distillation.py DATA/nuclei=nuclei DATA/aerial=aerial [--steps 300]
                                      [--seeds 0] [--only alone pixels] [--out runs/distillation]

Each folder of data is given with the bundle that teaches. The student is a U-Net on a thin
ResNet-18 at random; every way is trained for an equal number of steps on crops of 128 x 128 in
batches of 8, and scored on the test split. A run that is finished is not run again. Puts the table
into docs/training.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from page import DOCS, about, put, table
from runs import RECIPE, trained

WAYS: dict[str, dict[str, float]] = {
    "alone": {},
    "pixels": {},
    "pixels and features": {"teacher.features": 1.0},
    "channels": {"teacher.pixels": 0.0, "teacher.channels": 3.0, "teacher.temperature": 4.0},
}


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", nargs="+", metavar="DATA=BUNDLE")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path("runs/distillation"))
    given = parser.parse_args()
    pairs = [text.rpartition("=")[::2] for text in given.data]
    for seed in given.seeds:
        for data, bundle in pairs:
            for way in given.only:
                _train(given.out, Path(data), bundle, way, given.steps, seed)
    rows = [
        [Path(data).name, way, *_cells(given.out / Path(data).name / str(given.steps) / way)]
        for data, _ in pairs
        for way in WAYS
    ]
    heading = ["data", "learns from masks and", f"test mean IoU after {given.steps} steps", "seeds"]
    text = f"{about('torch')}.\n\n{table(heading, rows)}"
    put(DOCS / "training.md", "distillation", text)
    print(text)


def _train(out: Path, data: Path, bundle: str, way: str, steps: int, seed: int) -> None:
    settings: dict[str, Any] = {
        **RECIPE,
        **WAYS[way],
        "model.architecture": "unet",
        "max_steps": steps,
        "epochs": 100_000,
        "validate_every": 100_000,
        "seed": seed,
        "bundle.engine": "none",
    }
    if way != "alone":
        settings["teacher.bundle"] = bundle
    score = trained(data, out / data.name / str(steps) / way / str(seed), settings)
    print(data.name, way, seed, f"{100 * score.mean_iou:.1f}", flush=True)


def _cells(folder: Path) -> list[str]:
    found = [
        json.loads(path.read_text())["mean_iou"] for path in sorted(folder.glob("*/score.json"))
    ]
    if not found:
        return ["not measured yet", "0"]
    return [f"{100 * sum(found) / len(found):.1f}", str(len(found))]


if __name__ == "__main__":
    main()
