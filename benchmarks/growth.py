"""Scaling of time and memory with pixels, batch, classes, loaded models, and tiled images.

    python benchmarks/growth.py [--runs 5] [--megapixels 4 9 16 25 50 100] [--models 1 2 4 8 16]

Times are of the clock, the least of the runs, so run it on a quiet machine. Each server and each
tiled image has a process of its own, so that its peak memory is its own. Writes docs/growth.md's
tables and docs/growth.png. Linux only.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from huge import write_image

from page import DOCS, about, put, table
from servers.load import make_images, run_load
from servers.processes import adopt_orphans, is_ready, running

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "service" / "web" / "samples" / "nuclei.jpg"
BUNDLE = ROOT / "models" / "pretrained" / "nuclei"
SIDES = (256, 384, 512, 768, 1024, 1448)
BATCHES = (1, 2, 4, 8, 16)
CLASSES = (2, 4, 8, 16, 32, 64, 128)

Point = tuple[float, float]


def main() -> None:
    """Measure all five, write page and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megapixels", type=float, nargs="+", default=[4, 9, 16, 25, 50, 100])
    parser.add_argument("--models", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--out", type=Path, default=DOCS)
    parser.add_argument("--one", type=Path, help="tile only this image and print JSON")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(tile_one(options.one)))
        return
    adopt_orphans()
    served = by_models(options.models)
    tiled = by_megapixels(options.megapixels)
    found: dict[str, list[Point]] = {
        "megapixels, in one piece": by_pixels(options.runs),
        "images of 256 x 256 in a batch": by_batch(options.runs),
        "classes, 512 x 512": by_classes(options.runs),
        "loaded models: one request": [(count, ms) for count, ms, _ in served],
        "megapixels, tiled": [(size, 1000 * seconds) for size, seconds, _ in tiled],
    }
    memory = {
        "loaded models: memory": [(count, mib) for count, _, mib in served],
        "megapixels, tiled: memory": [(size, mib) for size, _, mib in tiled],
    }
    parts = [about("torch", "openvino"), "**Time**", curves(found, "ms"), "**Peak memory**"]
    parts += [curves(memory, "MiB"), "![](growth.png)"]
    text = "\n\n".join(parts)
    print(text)
    put(options.out / "growth.md", "growth", text)
    draw(found | memory, options.out / "growth.png")


def curves(found: dict[str, list[Point]], unit: str) -> str:
    """Return a table: each curve's points, and its exponent (1: linear, 0: constant)."""
    rows = []
    for name, points in found.items():
        shown = ", ".join(f"{x:g}: {y:.0f}" for x, y in points)
        rows.append((name, shown, f"{exponent(points):.2f}"))
    return table(("against", f"{unit} by size", "exponent"), rows)


def exponent(points: list[Point]) -> float:
    """Return the slope of the least squares line through the logarithms."""
    if len(points) < 2:
        return math.nan
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def milliseconds(work: Callable[[], object], runs: int) -> float:
    """Return the least time of some runs, after one that makes buffers."""
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - start))
    return min(times)


def photo(height: int, width: int) -> np.ndarray:
    """Return the sample, repeated and cut to a size."""
    from maskzoo.models.images.decode import decode_image

    pixels = decode_image(PHOTO).pixels
    down, across = -(-height // pixels.shape[0]), -(-width // pixels.shape[1])
    return np.ascontiguousarray(np.tile(pixels, (down, across, 1))[:height, :width])


def by_pixels(runs: int) -> list[Point]:
    """One image in one piece, through the predictor."""
    from maskzoo.models.inference.options import PredictOptions
    from maskzoo.models.inference.predictor import Predictor

    predictor = Predictor.from_bundle(BUNDLE, device="cpu")
    whole = PredictOptions(mode="whole")
    points = []
    for side in SIDES:
        image = photo(side, side)
        work = lambda image=image: predictor.segment(image, whole)  # noqa: E731
        points.append((side * side / 1e6, milliseconds(work, runs)))
        print_newest("pixels", points)
    return points


def by_batch(runs: int) -> list[Point]:
    """One run of the network for so many images."""
    from maskzoo.models.inference.predictor import Predictor

    predictor = Predictor.from_bundle(BUNDLE, device="cpu")
    points = []
    for count in BATCHES:
        images = [photo(256, 256)] * count
        work = lambda images=images: predictor.segment_batch(images)  # noqa: E731
        points.append((float(count), milliseconds(work, runs)))
        print_newest("batch", points)
    return points


def by_classes(runs: int) -> list[Point]:
    """An FPN on a ResNet-18 with random weights, on torch, with confidence."""
    from maskzoo.models.inference.predictor import Predictor
    from maskzoo.models.labels import LabelSet
    from maskzoo.models.preprocessing import Preprocessing
    from maskzoo.models.registry import create_model

    points = []
    for classes in CLASSES:
        network = create_model("fpn", encoder="resnet18", num_classes=classes)
        encoder = network.encoder
        preprocessing = Preprocessing(mean=encoder.mean, std=encoder.std)
        predictor = Predictor(network, LabelSet.generic(classes), preprocessing, device="cpu")
        image = photo(512, 512)
        work = lambda p=predictor, image=image: p.segment(image)  # noqa: E731
        points.append((float(classes), milliseconds(work, runs)))
        print_newest("classes", points)
    return points


def by_models(counts: list[int]) -> list[tuple[float, float, float]]:
    """Return loaded models, median ms of a request to one of them, and the server's peak MiB."""
    images = make_images(PHOTO)["medium"]
    found = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for number in range(count):
                copy_bundle(root / "bundles" / f"nuclei-{number}")
            environment = {
                "MASKZOO_BUNDLES": str(root / "bundles"),
                "MASKZOO_SHIPPED_BUNDLES": "false",
                "MASKZOO_STATE_FOLDER": str(root / "state"),
            }
            command = [sys.executable, "-m", "maskzoo", "serve", "--port", "{port}"]
            with running(command, environment, root, is_ready, root / "log") as server:
                run_load(server.port, images, clients=1, seconds=1)
                load = run_load(server.port, images, clients=1, seconds=5)
                server.look()
        found.append(
            (float(count), 1000 * float(np.median(load.latencies)), server.peak_bytes / 2**20)
        )
        print_newest("models", found)
    return found


def copy_bundle(target: Path) -> None:
    """Copy the bundle under another name."""
    shutil.copytree(BUNDLE, target)
    manifest = target / "bundle.json"
    content = json.loads(manifest.read_text()) | {"name": target.name}
    manifest.write_text(json.dumps(content))


def by_megapixels(sizes: list[float]) -> list[tuple[float, float, float]]:
    """Return megapixels, seconds and peak MiB of `maskzoo predict --mode tiled`."""
    found = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "huge.tif"
            write_image(path, round((size * 1e6) ** 0.5))
            command = [sys.executable, __file__, "--one", str(path)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        one = json.loads(done.stdout)
        found.append((size, one["seconds"], one["peak_bytes"] / 2**20))
        print_newest("tiled", found)
    return found


def tile_one(image: Path) -> dict[str, float]:
    """Predict one file as `maskzoo predict` does; return seconds and peak bytes."""
    from maskzoo.models.inference.folder import predict_files
    from maskzoo.models.inference.options import PredictOptions
    from maskzoo.models.inference.outputs import list_outputs
    from maskzoo.models.inference.predictor import Predictor

    predictor = Predictor.from_bundle(BUNDLE, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        outputs = list_outputs([str(image)], Path(folder))
        (outcome,) = predict_files(predictor, outputs, PredictOptions(mode="tiled"))
        seconds = time.perf_counter() - start
    if outcome.error is not None:
        raise SystemExit(outcome.error)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak_bytes": peak}


def print_newest(name: str, found: Sequence[tuple[float, ...]]) -> None:
    """Print the newest point."""
    print(name, *(f"{value:g}" for value in found[-1]), flush=True)


def draw(found: dict[str, list[Point]], path: Path) -> None:
    """Draw each curve, with the line from the origin through its last point."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 4, figsize=(12, 5), layout="constrained")
    for panel, (name, points) in zip(panels.flat, found.items(), strict=False):
        x, y = zip(*points, strict=True)
        panel.plot((0, x[-1]), (0, y[-1]), ":", color="#9aa5a3", label="proportional")
        panel.plot(x, y, "o-", color="#0b6e60")
        panel.set_title(name, fontsize=9)
        panel.set_ylabel("MiB" if name.endswith("memory") else "ms", fontsize=8)
        panel.set_ylim(bottom=0)
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.3)
    panels.flat[0].legend(fontsize=8)
    panels.flat[-1].axis("off")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
