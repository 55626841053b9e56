"""CamVid with 11 classes from scratch on a processor: two rounds of training, a row of scores.

    python -P benchmarks/camvid.py ../shared/data/camvid --out runs/camvid [--minutes 75]

-P, or the folder of this file would come first in the search for modules.

The first round sees the images small, where a crop holds most of one: what a street looks like is
learnt soonest so. The second starts from its bundle at the size of the test, and is as long as the
time that is left allows. Each is an ordinary `maskzoo train data --preset scratch`, and goes on
where it stood if the script is started again. Time is counted on the processors and divided by
their number, so a run that is paused meanwhile, or has neighbours, gets as many steps. Only train
is learnt from. Val chooses the step that is kept, and the test images are scored at the end, by
`maskzoo evaluate`.

The licence of the data, CC BY-NC, forbids to ship the weights.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

FIRST = ["loader.crop_size=[192, 256]", "augment.scale=[0.4, 0.9]", "optimizer.lr=3e-3"]
SECOND = ["loader.crop_size=[288, 384]", "augment.scale=[0.7, 1.4]", "optimizer.lr=1.5e-3"]
SECOND += ["validate_every=5"]
_PACE = 2.25  # a step of the second round against one of the first, by the crops' pixels


def maskzoo(*arguments: str) -> str:
    """Run our command; return what it writes to standard output."""
    command = [sys.executable, "-m", "maskzoo", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


def without_test(data: Path, folder: Path) -> Path:
    """Return a folder with the data's train and val alone, so that no round scores the test."""
    for kind in ("images", "masks"):
        for split in ("train", "val"):
            link = folder / kind / split
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to((data / kind / split).resolve())
    return folder


def processor_seconds() -> float:
    """Return the processor time of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def train_round(data: Path, run: Path, start: Path | None, steps: int) -> dict[str, float]:
    """Train one round, or go on with it; return its steps, and its seconds on the processors."""
    seconds, begun = run.with_suffix(".seconds"), processor_seconds()
    before = float(seconds.read_text()) if seconds.is_file() else 0.0  # of starts that were stopped
    settings = [
        f"max_steps={steps}",
        "epochs=1000",  # the steps end it
        "validate_every=3",
        "loader.num_workers=1",
        "bundle.engine=none",
        "bundle.name=camvid",
        *(SECOND if start else FIRST),
    ]
    settings += [f"model.start_from={start}"] if start else []
    resume = ["--resume"] if (run / "last.ckpt").is_file() else []
    try:
        maskzoo("train", str(data), "--preset", "scratch", "-o", str(run), *settings, *resume)
    finally:
        used = before + processor_seconds() - begun
        seconds.write_text(str(used))
    return {"steps": steps, "processor_seconds": used}


def second_steps(first: dict[str, float], seconds: float) -> int:
    """Return how many steps of the second round fit into so many seconds of all processors."""
    each = _PACE * first["processor_seconds"] / first["steps"]
    return max(1, int((seconds * (os.cpu_count() or 1) - first["processor_seconds"]) / each))


def row(scores: dict[str, Any], rounds: list[dict[str, float]], *, tta: str) -> str:
    """Return a row of the table."""
    steps, used = (int(sum(one[key] for one in rounds)) for key in ("steps", "processor_seconds"))
    interval = scores["mean_iou_interval"]
    cells = (
        "ours" + ("" if tta == "none" else f", views {tta}"),
        f"{100 * scores['mean_iou']:.1f}",
        f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}",
        f"{used / 3600:.1f} processor hours, {steps} steps",
        f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, "
        f"{platform.machine()}",
        f"torch {torch.__version__}, {datetime.now(UTC).date()}",
    )
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=75, help="of all processors")
    parser.add_argument("--first", type=int, default=4000, help="steps of the first round")
    options = parser.parse_args()
    data = without_test(options.data, options.out / "data")
    rounds: list[dict[str, float]] = []
    steps, bundle = options.first, None
    for name in ("small", "full"):
        run = options.out / name
        done, planned = run.with_suffix(".json"), run.with_suffix(".steps")
        if rounds:
            steps = second_steps(rounds[0], 60 * options.minutes)
        steps = int(planned.read_text()) if planned.is_file() else steps
        planned.write_text(str(steps))  # so that a second start goes on with the same
        if not done.is_file():
            done.write_text(json.dumps(train_round(data, run, bundle, steps)))
        rounds.append(json.loads(done.read_text()))
        bundle = run / "bundle"
    print("| network | mean IoU | 95 % interval | training | machine | versions |")
    print("|---|---|---|---|---|---|")
    for tta in ("none", "flip"):
        text = maskzoo("evaluate", str(bundle), str(options.data), "--json", "--tta", tta)
        print(row(json.loads(text), rounds, tta=tta), flush=True)


if __name__ == "__main__":
    main()
