"""What each architecture costs to run: parameters, GMAC, memory, and time on each engine.

    python benchmarks/architectures.py [--encoder tu-resnet18] [--size 512] [--runs 5]
                                       [--only danet unet]

Every architecture is built with random weights, exported for the engines, and measured in a
process of its own. Prints a Markdown table: processor milliseconds for one image (the least of the
runs, engines taking turns), how far OpenVINO comes towards the machine's matrix peak, and the peak
of the resident memory above what it was before the first image. The peak is that of a float32
product of two 1024 x 1024 matrices, measured on the spot.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import torch

from models.bundle import read_manifest, save_bundle
from models.cost import measure_cost
from models.engines.choose import open_engine
from models.errors import ZooError
from models.export.engines import export_engine
from models.labels import LabelSet
from models.preprocessing import Preprocessing
from models.registry import create_model, list_models

ENGINES = ("torch", "onnxruntime", "openvino")
CLASSES = 19


def main() -> None:
    """Measure one architecture, or all of them and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="tu-resnet18")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=list_models())
    parser.add_argument("--one", help="measure only this architecture and print JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(measure(options.one, options)))
        return
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"{options.threads} thread(s), torch {torch.__version__}; {options.encoder}, "
        f"{CLASSES} classes, {options.size} x {options.size}, fp32\n"
    )
    times = " | ".join(f"{name}, ms" for name in ENGINES)
    print(f"| architecture | parameters, M | GMAC | {times} | share of peak | memory, MiB |")
    print("|---" * (len(ENGINES) + 5) + "|", flush=True)
    for name in options.only:
        command = [sys.executable, *sys.argv, "--one", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        print(row(name, json.loads(done.stdout) if done.returncode == 0 else None), flush=True)


def row(name: str, found: dict[str, float] | None) -> str:
    """Return the line of one architecture."""
    if found is None:
        return f"| {name} | failed |"
    times = [f"{1000 * found[engine]:.0f}" if engine in found else "-" for engine in ENGINES]
    best = found.get("openvino", found["torch"])
    share = 2 * found["macs"] / best / found["peak"]
    cells = [
        f"`{name}`",
        f"{found['parameters'] / 1e6:.1f}",
        f"{found['macs'] / 1e9:.1f}",
        *times,
        f"{100 * share:.0f} %",
        f"{found['bytes'] / 2**20:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def measure(name: str, options: argparse.Namespace) -> dict[str, float]:
    """Return cost, seconds by engine, memory of torch in bytes, and the machine's peak."""
    torch.manual_seed(0)
    network = create_model(name, encoder=options.encoder, num_classes=CLASSES).eval()
    cost = measure_cost(network, (options.size, options.size))
    found = {"parameters": cost.parameters, "macs": cost.macs, "peak": matrix_peak()}
    image = torch.randn(1, 3, options.size, options.size)
    with tempfile.TemporaryDirectory() as temporary:
        bundle = Path(temporary) / "bundle"
        encoder = network.encoder
        preprocessing = Preprocessing(mean=encoder.mean, std=encoder.std)
        labels = LabelSet.generic(CLASSES)
        save_bundle(bundle, network, name=name, labels=labels, preprocessing=preprocessing)
        manifest = read_manifest(bundle)
        runs: dict[str, Callable[[], object]] = {}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for engine in ENGINES:
            try:
                if engine != "torch":
                    export_engine(bundle, engine)
                opened = open_engine(bundle, manifest, engine=engine, device="cpu")
            except ZooError as error:
                print(f"{name} on {engine}: {error}", file=sys.stderr)
                continue
            runs[engine] = lambda opened=opened: opened.run(image)
            if engine == "torch":
                runs[engine]()
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                found["bytes"] = 1024 * (peak - before)
        found |= {engine: float("inf") for engine in runs}
        for _ in range(options.runs):
            for engine, run in runs.items():
                found[engine] = min(found[engine], processor_seconds(run))
    return found


def matrix_peak() -> float:
    """Return float32 operations in a processor second of a large matrix product."""
    side = 1024
    a, b = torch.randn(side, side), torch.randn(side, side)
    return 2 * side**3 / min(processor_seconds(lambda: a @ b) for _ in range(9))


def processor_seconds(call: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
