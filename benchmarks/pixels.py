"""Time of everything around the network at one image size, on one core.

    python benchmarks/pixels.py [--height 1080] [--width 1920]

Prints CPU time (best of five), so that other work on the machine disturbs it little. The image
and the label map are generated: a smooth scene with noise, and regions with ragged edges.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from PIL import Image

from models.inference.decode import decode_image
from models.inference.draw import encode_indexed_png, overlay
from models.inference.postprocess import label_map
from models.inference.preprocess import to_batch
from models.labels import LabelSet
from models.preprocessing import Preprocessing

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
STRIDE = 8


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--width", type=int, default=1920)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    size = (options.height, options.width)
    pixels = scene(size)
    for name, settings in {"JPEG": {"quality": 90}, "PNG": {}, "WEBP": {}, "TIFF": {}}.items():
        data = pillow(Image.fromarray(pixels), name, **settings)
        report(f"decode {name}", lambda data=data: decode_image(data), len(data))
    report("to_batch", lambda: to_batch(pixels, IMAGENET, torch.device("cpu")))
    for classes in (2, 6, 21):
        coarse = torch.from_numpy(regions(classes, size))
        labels, _ = label_map(coarse, size, size)
        names = LabelSet.generic(classes)
        plain = lambda c=coarse: label_map(c, size, size, confidence=False)  # noqa: E731
        report(f"label_map, {classes} classes", plain)
        report("  with confidence", lambda c=coarse: label_map(c, size, size))
        ours = encode_indexed_png(labels, names)
        report("  indexed PNG", lambda m=labels, n=names: encode_indexed_png(m, n), len(ours))
        report("  same, OpenCV grey", lambda m=labels: cv2.imencode(".png", m))
        report(
            "  same, Pillow level 1",
            lambda m=labels: pillow(Image.fromarray(m), "PNG", compress_level=1),
        )
        report("  overlay", lambda m=labels, n=names: overlay(pixels, m, n))


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


def report(name: str, work: Callable[[], object], size: int | None = None) -> None:
    """Print the best CPU time of five runs."""
    seconds = []
    for _ in range(5):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    note = "" if size is None else f"  {size / 1000:8.0f} kB"
    print(f"{name:<24} {1000 * min(seconds):7.1f} ms{note}")


if __name__ == "__main__":
    main()
