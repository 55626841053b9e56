"""`maskzoo predict --ray` against the plain command, and ten thousand images while workers die.

    python benchmarks/batch.py [--few 1000] [--images 10000] [--write]

The network is tiny, so the table shows what a batch costs beside the network, which is the worst
case for Ray. The first runs take the first `--few` images. Memory is the sum of proportional set
sizes (`Pss`) of the command and all processes below it, sampled each second: its largest value in
the second and in the last quarter of the time. Files are compared with the plain command's where
that made them; the masks of all others must be whole.
With `--write` the table goes to `docs/batch.md`.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from maskzoo import create_model, save_bundle
from maskzoo.models.images.origin import read_origin
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from page import about, put, table

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Measured:
    """One run of the command.

    Args:
        seconds: until its first mask, and until its end.
        memory: bytes, each second.
        num_killed: workers that were killed.
    """

    first_s: float = 0.0
    seconds: float = 0.0
    memory: list[int] = field(default_factory=list)
    num_killed: int = 0


def write_bundle(folder: Path) -> Path:
    """Write a tiny bundle with random weights."""
    torch.manual_seed(0)
    network = create_model("unet", encoder="tu-resnet10t", num_classes=3).eval()
    preprocessing = Preprocessing(
        mean=network.encoder.mean, std=network.encoder.std, train_size=(64, 64), max_side=None
    )
    labels = LabelSet.from_names(["sea", "shore", "land"])
    return save_bundle(folder, network, name="tiny", labels=labels, preprocessing=preprocessing)


def write_images(folder: Path, count: int) -> None:
    """Write images of 64 x 64, the same hundred names in each sub-folder."""
    draw = np.random.default_rng(0)
    for index in range(count):
        path = folder / f"{index // 100:04}" / f"{index % 100:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (64, 64, 3), np.uint8)).save(path)


def descendants(pid: int) -> Iterator[int]:
    """Yield the processes below one."""
    try:
        tasks = [*Path(f"/proc/{pid}/task").iterdir()]
        found = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return
    for child in found:
        yield child
        yield from descendants(child)


def read(pid: int, name: str) -> str:
    """Return a file of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""


def memory_of(pids: list[int]) -> int:
    """Return the sum of proportional set sizes, in bytes."""
    lines = [line for pid in pids for line in read(pid, "smaps_rollup").splitlines()]
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def measure(
    bundle: Path, images: Path, out: Path, *options: str, kill_every: float = 0
) -> Measured:
    """Run the command; after its first mask, kill a worker each `kill_every` seconds."""
    words = ["predict", bundle, *options, images, "-o", out, "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "maskzoo", *map(str, words)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    result, draw = Measured(), random.Random(0)
    start = killed = time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        if not result.first_s and any(out.rglob("masks/*/*.png")):
            result.first_s = now - start
        below = [*descendants(process.pid)]
        result.memory.append(memory_of([process.pid, *below]))
        workers = [pid for pid in below if "MapWorker" in read(pid, "cmdline")]
        if kill_every and result.first_s and workers and now - killed > kill_every:
            os.kill(draw.choice(workers), signal.SIGKILL)
            result.num_killed, killed = result.num_killed + 1, now
        time.sleep(1)
    result.seconds = time.monotonic() - start
    if process.returncode:
        raise SystemExit(f"{words} ended with {process.returncode}")
    return result


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the content of all files."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def verdict(out: Path, plain: dict[str, bytes], count: int) -> str:
    """Return how many masks and overlays there are, and whether they are as they must be."""
    written = files_below(out)
    equal = all(written.get(name) == data for name, data in plain.items())
    whole = all(read_origin(file) is not None for file in out.rglob("masks/*/*.png"))
    well = equal and whole and len(written) == 2 * count
    return f"{len(written)}, {'as they must be' if well else 'WRONG'}"


def main() -> None:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=1_000)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        bundle, images, few = write_bundle(folder / "tiny"), folder / "images", folder / "few"
        write_images(images, given.images)
        few.mkdir()
        for sub in sorted(images.iterdir())[: given.few // 100]:
            (few / sub.name).symlink_to(sub)
        cases = [
            ("plain command", (), few, 0.0),
            ("`--ray`, 1 worker", ("--ray", "--workers", "1"), few, 0.0),
            ("`--ray`, 2 workers", ("--ray", "--workers", "2"), few, 0.0),
            ("`--ray`, 2 workers, one killed now and then", ("--ray", "--workers", "2"), images,
             15.0),
        ]  # fmt: skip
        plain: dict[str, bytes] = {}
        for number, (name, options, source, kill_every) in enumerate(cases):
            out = folder / f"out{number}"
            found = measure(bundle, source, out, *options, kill_every=kill_every)
            plain = plain or files_below(out)
            count = given.few if source == few else given.images
            quarter = max(1, len(found.memory) // 4)
            early, late = max(found.memory[quarter : 2 * quarter]), max(found.memory[-quarter:])
            rows.append(
                (
                    name,
                    count,
                    found.num_killed,
                    f"{found.first_s:.0f}",
                    f"{count / (found.seconds - found.first_s):.0f}",
                    f"{early / 1e6:.0f} / {late / 1e6:.0f}",
                    verdict(out, plain, count),
                )
            )
            print(rows[-1], flush=True)
    head = (
        "run", "images", "workers killed", "s to the first mask", "images/s after it",
        "MB early / late", "files",
    )  # fmt: skip
    made = f"{about('torch', 'ray')}\n\n{table(head, rows)}"
    print(made)
    if given.write:
        put(ROOT / "docs/batch.md", "batch", made)


if __name__ == "__main__":
    main()
