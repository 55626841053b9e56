"""Ablation: attention plug-ins in DeepLabV3+ on two data sets, at equal steps and seeds.

    python benchmarks/ablation.py DATA/nuclei DATA/aerial [-o runs/ablation] [--steps 300]
                                  [--seeds 0 1 2] [--only cbam dual]

Every variant is trained by `maskzoo train` from random weights, with one recipe, and scored on the
test split by the predictor. Prints a Markdown table: mean IoU as the mean over the seeds, the
spread as the standard deviation over them, the difference from the bare network seed by seed, and
the processor time of the whole run against the bare network's. A run that is finished is not run
again, so the script can be stopped and started.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import torch

from runs import RECIPE, Score, trained

# A plug-in's place is the one that its authors chose, as far as DeepLabV3+ has it.
VARIANTS: dict[str, list[str]] = {
    "bare": [],
    "se": ["se@encoder.*.block"],
    "cbam": ["cbam@encoder.*.block"],
    "bam": ["bam@encoder.2", "bam@encoder.3", "bam@encoder.4"],
    "scse": ["scse@encoder.*.block"],
    "nonlocal": ["nonlocal@encoder.4"],
    "dual": ["dual@bottleneck"],
}

DEEPLAB = {
    "model.architecture": "deeplabv3plus",
    "model.options": {"channels": 64, "low_channels": 16},
}


def main() -> None:
    """Train what is missing, and print the table of each data set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    names = ["bare", *(name for name in options.only if name != "bare")]
    print_head(options)
    for data in options.data:
        # Seed by seed, so that a run that is stopped has compared everything on some seeds.
        scores: dict[str, list[Score]] = {name: [] for name in names}
        for seed in options.seeds:
            for name in names:
                scores[name].append(run(data, name, seed, options))
        print(f"\n{data.name}\n\n" + "\n".join(rows(scores)), flush=True)


def run(data: Path, name: str, seed: int, options: argparse.Namespace) -> Score:
    """Return the score of one run, trained now if it is not there yet."""
    plugins = [str(plugin) for plugin in VARIANTS[name]]
    settings = {"seed": seed, "max_steps": options.steps, "model.plugins": plugins}
    folder = options.out / data.name / f"{name}-{seed}-{options.steps}"
    return trained(data, folder, RECIPE | DEEPLAB | settings)


def rows(scores: dict[str, list[Score]]) -> Iterator[str]:
    """Yield the lines of one data set's table."""
    yield "| variant | mean IoU, % | spread | against bare, same seed | time |"
    yield "|---|---|---|---|---|"
    bare = scores["bare"]
    for name, own in scores.items():
        values = [100 * score.mean_iou for score in own]
        gains = [100 * (a.mean_iou - b.mean_iou) for a, b in zip(own, bare, strict=True)]
        gain = "" if name == "bare" else f"{mean_and_spread(gains)}"
        ratio = sum(score.seconds for score in own) / sum(score.seconds for score in bare)
        yield (
            f"| {name} | {statistics.fmean(values):.1f} | {spread(values):.1f} | {gain} "
            f"| {ratio:.2f} |"
        )


def mean_and_spread(values: list[float]) -> str:
    """Return mean ± standard deviation, both with one digit."""
    return f"{statistics.fmean(values):+.1f} ± {spread(values):.1f}"


def spread(values: list[float]) -> float:
    """Return the standard deviation over the seeds, 0 for one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0


def print_head(options: argparse.Namespace) -> None:
    """Print machine, versions, date and settings."""
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}; {options.steps} steps, "
        f"seeds {', '.join(map(str, options.seeds))}",
        flush=True,
    )


if __name__ == "__main__":
    main()
