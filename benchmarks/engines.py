"""Time of the network alone on each engine, for the shipped bundles or any others.

    python benchmarks/engines.py [BUNDLE …] [--sizes 256 512 1024] [--threads 1 2] [--runs 9]

Engines take turns, so that other work on the machine disturbs all alike. Prints a Markdown table
of processor milliseconds for one image, the least of the runs, and of the ratio to torch. Bundles
are exported into a temporary folder first; agreement is that of the check images.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from models.bundle import read_manifest
from models.engines.base import Engine
from models.engines.choose import open_engine
from models.export.engines import export_engine
from models.shipped import list_bundles

ENGINES = ("torch", "onnxruntime", "openvino")


def main() -> None:
    """Export, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="*", default=list_bundles())
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}, fp32\n"
    )
    print("| bundle | size | threads | " + " | ".join(f"{name}, ms" for name in ENGINES), end="")
    print(" | openvino against torch |\n" + "|---" * (len(ENGINES) + 4) + "|")
    with tempfile.TemporaryDirectory() as temporary:
        for path in options.bundles:
            bundle = Path(temporary) / path.name
            shutil.copytree(path, bundle)
            for name in ENGINES[1:]:
                export_engine(bundle, name)
            for threads in options.threads:
                torch.set_num_threads(threads)  # the engines take as many
                manifest = read_manifest(bundle)
                engines = {
                    name: open_engine(bundle, manifest, engine=name, device="cpu")
                    for name in ENGINES
                }
                for size in options.sizes:
                    times = measure(engines, manifest.spec.in_channels, size, options.runs)
                    cells = [f"{1000 * seconds:.0f}" for seconds in times]
                    ratio = f"{times[0] / times[-1]:.2f}x"
                    row = [path.name, f"{size}²", threads, *cells, ratio]
                    print(f"| {' | '.join(map(str, row))} |", flush=True)


def measure(engines: dict[str, Engine], channels: int, size: int, runs: int) -> Sequence[float]:
    """Return the least processor seconds of one run of each engine."""
    image = torch.randn(1, channels, size, size)
    best = dict.fromkeys(engines, float("inf"))
    for _ in range(runs):
        for name, engine in engines.items():
            start = time.process_time()
            engine.run(image)
            best[name] = min(best[name], time.process_time() - start)
    return list(best.values())


if __name__ == "__main__":
    main()
