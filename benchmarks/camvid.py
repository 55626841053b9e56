"""CamVid with 11 classes, trained from scratch on a CPU in three rounds.

    python benchmarks/camvid.py ../shared/data/camvid --out runs/camvid [--steps 4000 1400 3600]

The first round uses small images, of which a crop shows most: that way the network learns the
layout of a street soonest. The second starts from the first one's bundle, at the size of the test.
The third continues without class weights, which make the network find rare classes, also where they
are not. Each is an ordinary `maskzoo train data --preset scratch`, and resumes if the script is
started again. Time is processor time, so pauses and other work do not count. Only train is learnt
from. Val chooses the step that is
kept, and the test images are scored at the end, by `maskzoo evaluate`.

The licence of the data, CC BY-NC, does not permit shipping the weights.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

_FULL = ["loader.crop_size=[288, 384]", "augment.scale=[0.7, 1.4]", "validate_every=5"]
ROUNDS = {
    "small": ["loader.crop_size=[192, 256]", "augment.scale=[0.4, 0.9]", "optimizer.lr=3e-3"],
    "full": [*_FULL, "optimizer.lr=1.5e-3"],
    "unweighted": [*_FULL, "optimizer.lr=1.5e-3", "loss.class_weights=null"],
}


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


def train_round(
    data: Path, run: Path, *, start: Path | None, steps: int, own: list[str]
) -> dict[str, float]:
    """Train one round, or go on with it; return its steps, and its seconds on the processors."""
    seconds, at_start = run.with_suffix(".seconds"), processor_seconds()
    before = float(seconds.read_text()) if seconds.is_file() else 0.0  # of starts that were stopped
    settings = [
        f"max_steps={steps}",
        "epochs=1000",  # the steps end it
        "validate_every=3",
        "loader.num_workers=1",
        "bundle.engine=none",
        "bundle.name=camvid",
        *own,
    ]
    settings += [f"model.start_from={start}"] if start else []
    resume = ["--resume"] if (run / "last.ckpt").is_file() else []
    try:
        maskzoo("train", str(data), "--preset", "scratch", "-o", str(run), *settings, *resume)
    finally:
        used = before + processor_seconds() - at_start
        seconds.write_text(str(used))
    return {"steps": steps, "processor_seconds": used}


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
    parser.add_argument("--steps", type=int, nargs=len(ROUNDS), default=[4000, 1400, 3600])
    options = parser.parse_args()
    data = without_test(options.data, options.out / "data")
    rounds: list[dict[str, float]] = []
    bundle = None
    for (name, own), steps in zip(ROUNDS.items(), options.steps, strict=True):
        run = options.out / name
        done = run.with_suffix(".json")
        if not done.is_file():
            done.write_text(json.dumps(train_round(data, run, start=bundle, steps=steps, own=own)))
        rounds.append(json.loads(done.read_text()))
        bundle = run / "bundle"
    print("| network | mean IoU | 95 % interval | training | machine | versions |")
    print("|---|---|---|---|---|---|")
    for tta in ("none", "flip"):
        text = maskzoo("evaluate", str(bundle), str(options.data), "--json", "--tta", tta)
        print(row(json.loads(text), rounds, tta=tta), flush=True)


if __name__ == "__main__":
    main()
