"""Cost of `maskzoo inspect` by the number of images: time and peak memory, first and second time.

    python benchmarks/inspecting.py [--small 10000 100000] [--large 500 2000] [--write]

Makes data in a temporary folder: small masks (64 x 64, with JPEGs of noise at a coarse scale) and
large ones (2048 x 2048, flat colours with a disc that differs in each, so that no two files are
equal). Each inspection runs in a process of its own with an empty cache, then again with what the
first one kept. Times are those of the clock, and of all processors together, which other work on
the machine hardly changes. Memory is the process's maximum resident set. `--write` puts the table
into docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.append(str(Path(__file__).parent))
from page import DOCS, about, put, table

SMALL, LARGE = 64, 2048


def main() -> None:
    """Make the data, measure each size, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--large", type=int, nargs="*", default=[500, 2_000])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sizes = [(count, SMALL) for count in options.small]
    sizes += [(count, LARGE) for count in options.large]
    rows = []
    for count, side in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "data"
            write_data(root, count, side)
            first, second = (run(root, Path(folder) / "cache") for _ in range(2))
        rows.append(
            [
                f"{count:,} of {side} x {side}".replace(",", " "),
                *(cell for found in (first, second) for cell in cells(found, count)),
            ]
        )
        print(" | ".join(rows[-1]), flush=True)
    each = ["processor time, each", "peak memory"]
    head = ["images", "first time", *each, "second time", *each]
    if options.write:
        put(
            DOCS / "training.md",
            "inspect",
            about("opencv-python-headless") + "\n\n" + table(head, rows),
        )


def cells(found: dict[str, float], count: int) -> list[str]:
    """Return what an inspection took, for the table."""
    return [
        f"{found['seconds']:.0f} s",
        f"{1000 * found['processor_seconds'] / count:.2f} ms",
        f"{found['peak_bytes'] / 2**20:.0f} MiB",
    ]


def write_data(root: Path, count: int, side: int) -> None:
    """Write images and masks of three classes, all different."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rng = np.random.default_rng(0)
    flat = [cv2.IMWRITE_PNG_COMPRESSION, 1]
    for number in range(count):
        mask = np.zeros((side, side), np.uint8)
        centre = tuple(int(value) for value in rng.integers(side // 4, side - side // 4, 2))
        cv2.circle(mask, centre, int(rng.integers(side // 16, side // 4)), 1 + number % 2, -1)
        if side == SMALL:
            noise = rng.integers(0, 255, (8, 8, 3), np.uint8)
            cv2.imwrite(str(root / f"images/{number}.jpg"), cv2.resize(noise, (side, side)))
        else:
            colours = rng.integers(0, 255, (3, 3), np.uint8)
            cv2.imwrite(str(root / f"images/{number}.png"), colours[mask], flat)
        cv2.imwrite(str(root / f"masks/{number}.png"), mask, flat)


def run(root: Path, cache: Path) -> dict[str, float]:
    """Inspect in a process of its own."""
    command = [sys.executable, __file__, "--one", str(root)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(root: Path) -> None:
    """Inspect a folder and print what it took, as JSON."""
    from maskzoo.training.data.opening import inspect
    from maskzoo.training.data.scan.store import open_store

    start = time.perf_counter()
    started = time.process_time()  # without the imports
    store = open_store(root)
    report = inspect(root, store=store)
    if store is not None:
        store.close()
    seconds = time.perf_counter() - start
    assert len(report.findings.samples) > 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    spent = time.process_time() - started
    print(json.dumps({"seconds": seconds, "processor_seconds": spent, "peak_bytes": peak}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(Path(sys.argv[2]))
    else:
        main()
