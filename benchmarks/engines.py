"""Time of the network alone on each engine, for the shipped bundles or any others.

    python benchmarks/engines.py [BUNDLE …] [--sizes 256 512 1024] [--threads 1] [--runs 7]
                                 [--compile] [--data nuclei=FOLDER …]

Engines take turns, so that other work on the machine disturbs all alike. Puts a table into
docs/engines.md: processor milliseconds for one image, the least of the runs, the fraction of the
pixels of a sample image that have torch's class, and for int8 the mean IoU on the validation split.
The engine itself chooses the precision in which `openvino` computes; where the processor has
bfloat16, `openvino-bf16` is measured too.
Bundles are exported into build/benchmarks first; int8 only those whose data is given (in a checkout
with the data beside it: nuclei). `--compile` adds `torch-compile`, half a minute for each bundle.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.bundles.shipped import list_bundles
from maskzoo.models.engines.artefact import find_artefacts
from maskzoo.models.engines.base import Engine, EngineName
from maskzoo.models.engines.check import CheckImages, central_part
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.precision import has_bf16
from maskzoo.models.images.decode import decode_image
from page import DOCS, about, put, table
from servers.environment import ROOT, exported, int8_score

NUCLEI = ROOT.parent / "shared" / "data" / "nuclei"
SAMPLES = ROOT / "service" / "web" / "samples"
EXPORTED: dict[str, EngineName] = {
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "openvino-bf16": "openvino",
    "openvino-int8": "openvino",
}


def main() -> None:
    """Export, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="*", default=list_bundles())
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument(
        "--data", nargs="*", default=[f"nuclei={NUCLEI}"] if NUCLEI.is_dir() else []
    )
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    data = dict(pair.split("=", 1) for pair in options.data)
    torch.set_num_threads(options.threads)  # the engines take as many
    speed, answers = [], []
    names = ["torch", *(["torch-compile"] if options.compile else []), *EXPORTED]
    for path in options.bundles:
        bundles = exports(path, data.get(path.name))
        engines = open_engines(bundles, compiled=options.compile)
        for size in options.sizes:
            channels = engines["torch"].in_channels
            times = measure(engines, channels, size, options.runs)
            cells = [f"{1000 * times[name]:.0f}" if name in times else "–" for name in names]  # noqa: RUF001
            ratio = f"{times['torch'] / times['openvino']:.2f}x"
            speed.append((path.name, f"{size}²", *cells, ratio))
            print(*speed[-1], flush=True)
        answers += [(path.name, *row) for row in compare(engines, bundles)]
    head = ("bundle", "size", *(f"{name}, ms" for name in names), "openvino against torch")
    parts = [
        f"{about('torch', 'openvino', 'onnxruntime')}; {options.threads} thread(s), one image",
        table(head, speed),
        table(("bundle", "engine", "computes in", "torch's class", "mean IoU"), answers),
    ]
    print("\n\n".join(parts))
    put(options.out / "engines.md", "engines", "\n\n".join(parts))


def exports(path: Path, data: str | None) -> dict[str, Path]:
    """Return copies of the bundle, each with the engine of its name; int8 only with data."""
    check = ("--check", str(sample(path)))
    found = {name: exported(path, "--engine", name, *check) for name in ("onnxruntime", "openvino")}
    if has_bf16("cpu"):
        found["openvino-bf16"] = found["openvino"]
    if data is not None:
        options = ("--engine", "openvino", "--precision", "int8", "--calibrate", data)
        found["openvino-int8"] = exported(path, *options)
    return found


def sample(bundle: Path) -> Path:
    """Return an image of what the bundle was trained for."""
    return SAMPLES / ("nuclei.jpg" if "nuclei" in bundle.name else "aerial.jpg")


def open_engines(bundles: dict[str, Path], *, compiled: bool) -> dict[str, Engine]:
    """Open every engine of one bundle."""
    first = next(iter(bundles.values()))
    names = {"torch": first} | ({"torch-compile": first} if compiled else {}) | bundles
    return {
        name: open_engine(path, read_manifest(path), engine=name, device="cpu")
        for name, path in names.items()
    }


def measure(engines: dict[str, Engine], channels: int, size: int, runs: int) -> dict[str, float]:
    """Return the least processor seconds of one run of each engine, channels last."""
    pixels = torch.randint(0, 256, (1, size, size, channels), dtype=torch.uint8)
    pixels = pixels.permute(0, 3, 1, 2)
    values = pixels.float() / 128 - 1
    best = dict.fromkeys(engines, float("inf"))
    for _ in range(runs):
        for name, engine in engines.items():
            start = time.process_time()
            engine.run(pixels if engine.takes_pixels else values)
            best[name] = min(best[name], time.process_time() - start)
    return best


def compare(engines: dict[str, Engine], bundles: dict[str, Path]) -> Sequence[tuple[str, ...]]:
    """Return each engine's agreement with torch on the check images, and what int8 scores."""
    manifest = read_manifest(next(iter(bundles.values())))
    torch_engine = engines["torch"]
    assert isinstance(torch_engine, EagerEngine)
    images = [central_part(decode_image(sample(bundles["openvino"])).pixels)]
    check = CheckImages.of(torch_engine, manifest.preprocessing, images)
    rows = []
    for name, engine in engines.items():
        score = ""
        if name == "openvino-int8":
            (artefact,) = find_artefacts(bundles[name], manifest, EXPORTED[name])
            score = int8_score(artefact.folder)
        if name != "torch":
            agreement = check.agreement(engine, manifest.preprocessing)
            rows.append((name, engine.precision, f"{agreement:.3%}", score))
    return rows


if __name__ == "__main__":
    main()
