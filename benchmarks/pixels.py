"""Time of everything around the network at one image size, on one core.

    python benchmarks/pixels.py [--height 1080] [--width 1920] [--runs 15]

Prints processor time, the least and the median of the runs, so that other work on the machine
disturbs it little, and puts the table into docs/engines.md. The image and the label map are
generated: a smooth scene with noise, and regions with ragged edges. `together` is a whole request
without its network: a JPEG is decoded and normalised, logits at an eighth of its size are resized,
and their largest class is written as an indexed PNG.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from maskzoo.models.engines.pixels import to_batch
from maskzoo.models.images.decode import decode_image
from maskzoo.models.images.draw import encode_indexed_png, overlay
from maskzoo.models.inference.postprocess import to_label_map
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from page import DOCS, about, put, table

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
STRIDE = 8
FORMATS: dict[str, dict[str, int]] = {"JPEG": {"quality": 90}, "PNG": {}, "WEBP": {}, "TIFF": {}}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    size = (options.height, options.width)
    report = Report(options.runs)
    pixels = scene(size)
    files = {
        name: pillow(Image.fromarray(pixels), name, **settings)
        for name, settings in FORMATS.items()
    }
    for name, data in files.items():
        report.add(f"decode {name}", lambda data=data: decode_image(data), len(data))
    report.add("to_batch", lambda: to_batch(pixels, IMAGENET, torch.device("cpu")))
    for classes in (2, 6, 21):
        by_classes(report, classes, pixels, files["JPEG"])
    text = "\n\n".join(
        (
            f"{about('torch', 'opencv-python-headless', 'pillow')}; one thread, "
            f"{options.width} x {options.height}",
            table(("step", "least, ms", "median, ms", "kB"), report.rows),
        )
    )
    put(options.out / "engines.md", "pixels", text)


def by_classes(report: Report, classes: int, pixels: np.ndarray, jpeg: bytes) -> None:
    """Measure what depends on the number of classes."""
    size = (pixels.shape[0], pixels.shape[1])
    coarse = torch.from_numpy(regions(classes, size))
    labels, _ = to_label_map(coarse, size, size)
    names = LabelSet.generic(classes)

    def together() -> bytes:
        to_batch(decode_image(jpeg).pixels, IMAGENET, torch.device("cpu"))
        found, _ = to_label_map(coarse, size, size, confidence=False)
        return encode_indexed_png(found, names)

    few = f"{classes} classes"
    report.add(f"label_map, {few}", lambda: to_label_map(coarse, size, size, confidence=False))
    report.add(f"with confidence, {few}", lambda: to_label_map(coarse, size, size))
    ours = len(encode_indexed_png(labels, names))
    report.add(f"indexed PNG, {few}", lambda: encode_indexed_png(labels, names), ours)
    report.add(f"same by OpenCV, grey, {few}", lambda: cv2.imencode(".png", labels))
    image = Image.fromarray(labels)
    report.add(f"same by Pillow, level 1, {few}", lambda: pillow(image, "PNG", compress_level=1))
    report.add(f"overlay, {few}", lambda: overlay(pixels, labels, names))
    report.add(f"**together**, {few}", together)


class Report:
    """Rows of the table; each is printed as it comes.

    Args:
        runs: of each step.
    """

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.rows: list[tuple[str, ...]] = []

    def add(self, name: str, work: Callable[[], object], size: int | None = None) -> None:
        """Measure one step."""
        milliseconds = []
        for _ in range(self.runs):
            start = time.process_time()
            work()
            milliseconds.append(1000 * (time.process_time() - start))
        least, median = min(milliseconds), statistics.median(milliseconds)
        kilobytes = "" if size is None else f"{size / 1000:.0f}"
        self.rows.append((name, f"{least:.1f}", f"{median:.1f}", kilobytes))
        print(f"{name:<36} {least:7.1f} {median:7.1f} ms {kilobytes:>8}", flush=True)


def scene(size: tuple[int, int]) -> np.ndarray:
    """Return a smooth uint8 (H, W, 3) image with a little noise."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (size[0] // 60, size[1] // 60, 3), dtype=np.uint8)
    smooth = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return (smooth + random.integers(-8, 9, smooth.shape)).clip(0, 255).astype(np.uint8)


def regions(classes: int, size: tuple[int, int]) -> np.ndarray:
    """Return float32 logits (K, h, w) at the stride, with regions of some hundred pixels."""
    coarse = np.random.default_rng(0).standard_normal((classes, 12, 20)).astype(np.float32) * 5
    small = (size[1] // STRIDE, size[0] // STRIDE)
    return np.stack([cv2.resize(one, small, interpolation=cv2.INTER_CUBIC) for one in coarse])


def pillow(image: Image.Image, file_format: str, **options: object) -> bytes:
    """Return `image` as a file."""
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
