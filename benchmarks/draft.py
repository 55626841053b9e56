"""Decoding of JPEGs at half their size: the effect on classes, and why the service does not do it.

    python benchmarks/draft.py DATA/aerial [--sides 512 384 256]

libjpeg can leave out the finer half of each block's frequencies, which halves the image for a
third of the time. Where an image is shrunk to `max_side` before the network (mode `resize`) at
least twice, that could stand in for a part of the shrinking. Printed, and put into docs/engines.md:
the fraction of pixels that keep their class, and the milliseconds of both ways.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import cv2
import numpy as np

from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from page import DOCS, about, put, table

WAYS = {"full": cv2.IMREAD_COLOR_RGB, "half": cv2.IMREAD_REDUCED_COLOR_2}


def main() -> None:
    """Compare both ways on every JPEG that is large enough."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 384, 256])
    options = parser.parse_args()
    files = sorted(options.data.glob("images/*/*.jpg"))
    rows = []
    for name in ("aerial", "aerial-danet"):
        predictor = Predictor.from_bundle(find_bundle(name), device="cpu")
        for side in options.sides:
            found = [compare(predictor, path, side) for path in files]
            used = [one for one in found if one is not None]
            same, full, half = (statistics.fmean(column) for column in zip(*used, strict=True))
            rows.append(
                (name, side, len(used), f"{same:.2%}", f"{1000 * full:.1f}", f"{1000 * half:.1f}")
            )
            print(*rows[-1], flush=True)
    head = ("bundle", "max_side", "images", "same class", "full, ms", "half, ms")
    text = f"{about('opencv-python-headless')}\n\n{table(head, rows)}"
    put(DOCS / "engines.md", "draft", text)


def compare(predictor: Predictor, path: Path, side: int) -> tuple[float, float, float] | None:
    """Return the fraction of equal classes, and the seconds until the network's input, both ways.

    None for an image that is less than twice as large.
    """
    data = np.frombuffer(path.read_bytes(), np.uint8)
    inputs, seconds = {}, {}
    for way, flag in WAYS.items():
        start = time.perf_counter()
        pixels = cv2.imdecode(data, flag)
        if way == "half":
            pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
        elif max(pixels.shape) < 2 * side:
            return None
        else:
            scale = side / max(pixels.shape)
            size = (round(pixels.shape[1] * scale), round(pixels.shape[0] * scale))
        inputs[way] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        seconds[way] = time.perf_counter() - start
    options = PredictOptions(mode="whole", confidence=False)
    masks = [predictor.segment(inputs[way], options).label_map for way in WAYS]
    return float((masks[0] == masks[1]).mean()), seconds["full"], seconds["half"]


if __name__ == "__main__":
    main()
