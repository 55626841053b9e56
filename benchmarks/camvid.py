"""CamVid with 11 classes from scratch on a processor: train in rounds, score on test, print a row.

    python -P benchmarks/camvid.py ../shared/data/camvid --out runs/camvid [--minutes 110]

-P, or the folder of this file would come first in the search for modules.

The first round sees the images small, where a crop holds most of one: what a street looks like is
learnt soonest so. The next ones start from its bundle at the size of the test. Each is an ordinary
`maskzoo train data --preset scratch`, and goes on where it stood if the script is started again;
the last rounds are as long as the time that is left allows. Only train is learnt from. Val chooses
the step that is kept, and the test images are scored at the end, by `maskzoo evaluate`.

The licence of the data, CC BY-NC, forbids to ship the weights.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

FIRST_SCALE = (0.4, 0.9)
LATER_SCALE = (0.7, 1.3)
_FEWEST = 250  # steps that a round is worth


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
    """Train one round, or go on with it; return its steps, and its seconds by two clocks."""
    began, used = time.monotonic(), processor_seconds()
    scale = LATER_SCALE if start else FIRST_SCALE
    settings = [
        f"max_steps={steps}",
        f"augment.scale={list(scale)}",
        f"optimizer.lr={1.5e-3 if start else 3e-3}",
        "validate_every=3",
        "loader.num_workers=1",
        "bundle.engine=none",
        "bundle.name=camvid",
    ]
    settings += [f"model.start_from={start}"] if start else []
    resume = ["--resume"] if (run / "last.ckpt").is_file() else []
    maskzoo("train", str(data), "--preset", "scratch", "-o", str(run), *settings, *resume)
    return {
        "steps": steps,
        "seconds": time.monotonic() - began,
        "processor_seconds": processor_seconds() - used,
    }


def next_steps(last: dict[str, float], left: float, *, usual: int) -> int:
    """Return the steps of the next round by the pace of the last; 0 if too little time is left.

    What would leave too little for one more round is taken into this one.
    """
    fitting = int(0.9 * left * last["steps"] / last["seconds"])
    if fitting < _FEWEST:
        return 0
    return fitting if fitting < usual + _FEWEST else usual


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
    parser.add_argument("--minutes", type=float, default=110)
    parser.add_argument("--first", type=int, default=1800, help="steps of the first round")
    parser.add_argument("--later", type=int, default=1200, help="steps of each later round")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.minutes
    data = without_test(options.data, options.out / "data")
    rounds: list[dict[str, float]] = []
    steps, bundle = options.first, None
    while steps:
        run = options.out / f"round{len(rounds)}"
        done, planned = run.with_suffix(".json"), run.with_suffix(".steps")
        steps = int(planned.read_text()) if planned.is_file() else steps
        planned.write_text(str(steps))  # so that a second start goes on with the same
        if not done.is_file():
            done.write_text(json.dumps(train_round(data, run, bundle, steps)))
        rounds.append(json.loads(done.read_text()))
        bundle = run / "bundle"
        left = deadline - time.monotonic()
        steps = next_steps(rounds[-1], left, usual=options.later)
    print("| network | mean IoU | 95 % interval | training | machine | versions |")
    print("|---|---|---|---|---|---|")
    for tta in ("none", "flip"):
        text = maskzoo("evaluate", str(bundle), str(options.data), "--json", "--tta", tta)
        print(row(json.loads(text), rounds, tta=tta), flush=True)


if __name__ == "__main__":
    main()
