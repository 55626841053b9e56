"""Print the table of what each format of an answer costs: processor time and bytes.

    python benchmarks/answers.py [--width 1920] [--height 1080] [--repeats 5]

Two label maps of 21 classes: regions with smooth edges, as networks give them, and with ragged
ones, as noise gives them. Times are the best of several on one processor, from a fresh label map,
so that each format pays for the runs that it needs. Most formats share the structure `label runs`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cv2
import numpy as np

from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.labels import LabelSet
from maskzoo.service.adapters.cvat import encode_shapes
from maskzoo.service.adapters.huggingface import Parameters, encode_segments
from maskzoo.service.adapters.label_studio import encode_brush
from maskzoo.service.errors import TooManyCornersError
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.formats import FORMATS, choose_format
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.shapes.runs import LabelRuns

NUM_CLASSES = 21
LABELS = LabelSet(
    names=tuple(f"class {index}" for index in range(NUM_CLASSES)),
    colours=tuple((index * 12, 255 - index * 12, index * 77 % 256) for index in range(NUM_CLASSES)),
    background=0,
)


def draw_map(width: int, height: int, *, is_ragged: bool) -> np.ndarray:
    """Return uint8 (H, W): the winner of blurred noise planes; ragged ones get fresh noise."""
    generator = np.random.default_rng(0)
    best = np.full((height, width), -np.inf, np.float32)
    labels = np.zeros((height, width), np.uint8)
    for label in range(NUM_CLASSES):
        small = generator.standard_normal((height // 90, width // 90), np.float32)
        plane = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        if is_ragged:
            plane += 0.12 * generator.standard_normal((height, width), np.float32)
        labels[plane > best] = label
        best = np.maximum(best, plane)
    return labels


def answer_of(label_map: np.ndarray) -> Answer:
    """Return an answer in which nothing is cached yet."""
    height, width = label_map.shape
    pixels = np.random.default_rng(1).integers(0, 255, (34, 60, 3), np.uint8)
    return Answer(
        model="bench",
        labels=LABELS,
        runs=LabelRuns(label_map),
        confidence=np.full(label_map.shape, 0.9, np.float16),
        pixels=cv2.resize(pixels, (width, height)),
        mode="whole",
        info=ImageInfo("PNG", "RGB", width, height, 8, 1, 1, False, "none", "none", "none"),
        request_id="0",
    )


def rows() -> dict[str, Callable[[Answer], bytes]]:
    """Return the function that writes each format, by its name."""
    plain = SegmentOptions()
    found: dict[str, Callable[[Answer], bytes]] = {
        "label runs": lambda answer: bytes(5 * answer.runs.rows.starts.size),
    }
    for one in FORMATS:
        if one.name != "json":
            found[str(one.media_type)] = lambda answer, one=one: one.encode(answer, plain)
    for masks in ("none", "rle", "coco", "polygons", "png"):
        options = SegmentOptions(format="json", masks=masks)
        one = choose_format(None, options)
        found[f"application/json, masks={masks}"] = lambda answer, one=one, options=options: (
            one.encode(answer, options)
        )
    found["application/geo+json, simplify=1"] = lambda answer: choose_format(
        None, SegmentOptions(format="geojson")
    ).encode(answer, SegmentOptions(format="geojson", simplify=1))
    found["Hugging Face"] = lambda answer: encode_segments(answer, Parameters())
    found["Label Studio, all classes"] = lambda answer: bytes(
        sum(len(encode_brush(answer.runs, label)) for label in answer.runs.areas)
    )
    found["CVAT, run lengths"] = lambda answer: encode_shapes(
        answer, threshold=0, mask_format="rle"
    )
    return found


def measure(write: Callable[[Answer], bytes], labels: np.ndarray, repeats: int) -> str:
    """Return the best time and the size, or the reason for a refusal."""
    best, size = float("inf"), 0
    for _ in range(repeats):
        answer = answer_of(labels)
        start = time.process_time()
        try:
            size = len(write(answer))
        except TooManyCornersError:
            return "refused: too ragged"
        best = min(best, time.process_time() - start)
    return f"{1000 * best:.1f} ms, {size / 1024:.0f} KiB"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    maps = [draw_map(given.width, given.height, is_ragged=flag) for flag in (False, True)]
    runs = [LabelRuns(labels).rows.starts.size for labels in maps]
    print(f"{given.width} x {given.height}, {NUM_CLASSES} classes, best of {given.repeats}\n")
    print(f"| format | smooth edges ({runs[0]} runs) | ragged edges ({runs[1]} runs) |")
    print("|---|---|---|")
    for name, write in rows().items():
        cells = " | ".join(measure(write, labels, given.repeats) for labels in maps)
        print(f"| {name} | {cells} |")


if __name__ == "__main__":
    main()
