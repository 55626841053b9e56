"""The cost of each architecture: parameters, GMAC, memory, and time on each engine.

    python benchmarks/architectures.py [--encoder tu-resnet18] [--size 512] [--runs 5]
                                       [--threads 1] [--only danet unet]

Every architecture is built with random weights, written as ONNX once, and measured in a process of
its own. Puts a table into docs/pareto.md: processor milliseconds for one image (the least of the
runs, engines taking turns; OpenVINO in bfloat16 only where the processor has it), images in a
processor second of the fastest, its fraction of the matrix peak in its own precision, and the peak
of the resident memory above that before torch's first image.

The matrix peaks are those of torch's product of two square matrices, the best of three sizes,
measured by each process between its runs; the table takes the best of all.
"""

from __future__ import annotations

import argparse
import functools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from maskzoo.models.catalogue.cost import measure_cost
from maskzoo.models.engines.base import Engine
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.onnxruntime import OnnxRuntimeEngine
from maskzoo.models.engines.openvino import OpenVinoEngine
from maskzoo.models.engines.precision import has_bf16
from maskzoo.models.export.onnx import export_onnx
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.models.registry import create_model, list_models
from page import DOCS, about, put, table

ENGINES = ("torch", "onnxruntime", "openvino", "openvino-bf16")
CLASSES = 19
_SIDES = (512, 768, 1024)  # of the matrices


def main() -> None:
    """Measure all and write the table; with --one, measure one and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
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
    found: dict[str, dict[str, Any]] = {}
    for name in options.only:
        command = [sys.executable, *sys.argv, "--one", name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(f"{name}: failed", file=sys.stderr, flush=True)
            continue
        found[name] = json.loads(done.stdout)
        print(name, found[name]["seconds"], flush=True)
    text = page(found, options)
    print(text)
    put(DOCS / "pareto.md", "engines", text)


def page(found: dict[str, dict[str, Any]], options: argparse.Namespace) -> str:
    """Return the table with the line above it."""
    every = [one["peaks"] for one in found.values()]
    peaks = {kind: max(peak[kind] for peak in every) for kind in every[0]}
    told = ", ".join(f"{peak / 1e9:.0f} GFLOP/s in {kind}" for kind, peak in peaks.items())
    head = ("architecture", "parameters, M", "GMAC", *(f"{name}, ms" for name in ENGINES))
    head += ("images/s", "fraction of peak", "memory, MiB")
    return (
        f"{about('torch', 'onnxruntime', 'openvino')}; {options.threads} thread(s), "
        f"{options.encoder}, {CLASSES} classes, one image of {options.size} x {options.size}; "
        f"matrix peak {told}\n\n"
        + table(head, (row(name, one, peaks) for name, one in found.items()))
    )


def row(name: str, one: dict[str, Any], peaks: dict[str, float]) -> tuple[str, ...]:
    """Return the line of one architecture."""
    seconds = one["seconds"]
    best = min(seconds, key=seconds.get)
    peak = peaks["bfloat16" if best == "openvino-bf16" else "float32"]
    return (
        f"`{name}`",
        f"{one['parameters'] / 1e6:.1f}",
        f"{one['macs'] / 1e9:.1f}",
        *(f"{1000 * seconds[engine]:.0f}" if engine in seconds else "-" for engine in ENGINES),
        f"{1 / seconds[best]:.1f}",
        f"{200 * one['macs'] / seconds[best] / peak:.0f} %",
        f"{one['bytes'] / 2**20:.0f}",
    )


def measure(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return cost, seconds by engine, torch's memory in bytes, and the machine's peaks."""
    torch.manual_seed(0)
    network = create_model(name, encoder=options.encoder, num_classes=CLASSES).eval()
    cost = measure_cost(network, (options.size, options.size))
    pixels = torch.randint(256, (1, 3, options.size, options.size), dtype=torch.uint8)
    values = torch.randn(pixels.shape)
    with tempfile.TemporaryDirectory() as temporary:
        path = export_onnx(network, Path(temporary) / "model.onnx", output="coarse")
        engines = opened(network, path)
    seconds = dict.fromkeys(engines, float("inf"))
    peaks = {"float32": 0.0} | ({"bfloat16": 0.0} if has_bf16("cpu") else {})
    before = resident_peak()
    engines["torch"].run(values)
    used = resident_peak() - before
    for _ in range(options.runs + 1):  # the first prepares for the size
        for engine, one in engines.items():
            given = pixels if one.takes_pixels else values
            spent = processor_seconds(functools.partial(one.run, given))
            seconds[engine] = min(seconds[engine], spent)
        for kind, peak in peaks.items():
            peaks[kind] = max(peak, matrix_peak(getattr(torch, kind)))
    return {
        "parameters": cost.parameters,
        "macs": cost.macs,
        "bytes": used,
        "seconds": seconds,
        "peaks": peaks,
    }


def opened(network: SegmentationNetwork, path: Path) -> dict[str, Engine]:
    """Return the engines, around the network and its ONNX file."""
    channels = len(network.encoder.mean)
    preprocessing = Preprocessing(mean=network.encoder.mean, std=network.encoder.std)
    engines: dict[str, Engine] = {
        "torch": EagerEngine(network, in_channels=channels, num_classes=CLASSES, device="cpu"),
        "onnxruntime": OnnxRuntimeEngine(path, in_channels=channels, num_classes=CLASSES),
    }
    for exact in (True, False) if has_bf16("cpu") else (True,):
        engines["openvino" if exact else "openvino-bf16"] = OpenVinoEngine(
            path, preprocessing=preprocessing, num_classes=CLASSES, exact=exact
        )
    return engines


def resident_peak() -> int:
    """Return the most bytes of memory that the process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def matrix_peak(dtype: torch.dtype) -> float:
    """Return the operations in a processor second of the best of some large matrix products."""
    best = 0.0
    for side in _SIDES:
        a, b = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
        product = functools.partial(torch.mm, a, b)
        best = max(best, 2 * side**3 / min(processor_seconds(product) for _ in range(3)))
    return best


def processor_seconds(call: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
