"""What a network starts from, against the score after equal steps.

    python benchmarks/starts.py DATA/nuclei DATA/aerial [--steps 300 1000 3000] [--seeds 0 1 2]
                                [--only plan lite0] [--out runs/starts] [--print]

Every start is trained by `maskzoo train` for an equal number of steps on crops of 128 x 128 in
batches of 8, and scored on the test split. A run that is finished is not run again, so the script
can be stopped and started; `--print` trains nothing and shows what there is. Puts the table into
docs/weights.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from page import DOCS, about, put, table
from runs import RECIPE, trained

_THIN = {name: RECIPE[name] for name in ("model.encoder", "model.encoder_options", "optimizer.lr")}
_COMMON = {name: value for name, value in RECIPE.items() if name not in _THIN}
_COMMON.pop("optimizer.head_lr_mult")
STARTS: dict[str, dict[str, Any]] = {
    "thin": _THIN
    | {"optimizer.head_lr_mult": 1.0, "model.options": {"channels": [64, 48, 32, 16]}},
    "plan": {"model.encoder": "resnet18"},
    "mobilenetv2": {"model.encoder": "tu-mobilenetv2_100", "model.encoder_weights": "builtin"},
    "lite0": {"model.encoder": "tu-tf_efficientnet_lite0", "model.encoder_weights": "builtin"},
}
"""U-Nets; what is not set is left to the plan."""
TOLD = {
    "thin": "a thin ResNet-18 at random, rate 0.003",
    "plan": "ResNet-18 at random",
    "mobilenetv2": "MobileNetV2, `builtin`",
    "lite0": "EfficientNet-Lite0, `builtin`",
}


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--steps", type=int, nargs="+", default=[300, 1000, 3000])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", default=list(STARTS), choices=list(STARTS))
    parser.add_argument("--out", type=Path, default=Path("runs/starts"))
    parser.add_argument("--print", action="store_true", dest="shown")
    given = parser.parse_args()
    if not given.shown:
        for steps in given.steps:
            for seed in given.seeds:
                for data in given.data:
                    for start in given.only:
                        _train(given.out, data, start, steps, seed)
    text = f"{about('torch', 'timm')}.\n\n{_table(given.out, given.data)}"
    put(DOCS / "weights.md", "starts", text)
    print(text)


def _folder(out: Path, data: str, start: str, steps: int, seed: int) -> Path:
    return out / data / f"{start}-{steps}-{seed}"


def _train(out: Path, data: Path, start: str, steps: int, seed: int) -> None:
    settings = {
        **_COMMON,
        **STARTS[start],
        "model.architecture": "unet",
        "max_steps": steps,
        "epochs": 100_000,
        "validate_every": 100_000,
        "seed": seed,
        "bundle.engine": "none",
    }
    score = trained(data, _folder(out, data.name, start, steps, seed), settings)
    print(data.name, start, steps, seed, f"{100 * score.mean_iou:.1f}", flush=True)


def _table(out: Path, data: Sequence[Path]) -> str:
    """Return the mean over the seeds that there are, and their range."""
    lengths = (300, 1000, 3000)
    rows = []
    for folder in data:
        for start in STARTS:
            cells = [folder.name, TOLD[start]]
            for steps in lengths:
                runs = sorted((out / folder.name).glob(f"{start}-{steps}-*/score.json"))
                cells.append(_cell([json.loads(run.read_text())["mean_iou"] for run in runs]))
            rows.append(cells)
    return table(["data", "start", *(f"{steps} steps" for steps in lengths)], rows)


def _cell(scores: Sequence[float]) -> str:
    if not scores:
        return "not measured yet"
    mean = 100 * sum(scores) / len(scores)
    seeds = f"{len(scores)} seed{'s' if len(scores) > 1 else ''}"
    if len(scores) == 1:
        return f"{mean:.1f} ({seeds})"
    return f"{mean:.1f} ({100 * min(scores):.1f} to {100 * max(scores):.1f}, {seeds})"


if __name__ == "__main__":
    main()
