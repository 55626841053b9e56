"""Segmentation of many image files into a folder, for `maskzoo predict`.

`OUT/masks/NAME.png` is the indexed mask with the palette, `OUT/overlays/NAME.jpg` the mask over the
image. NAME is the input's path below the given folder, or its bare name, without suffix. Two
inputs that would be written to one file are an error before any work.

A tiled image is read a few rows at a time (`models.images.rows`), so memory is bounded by its mask,
one byte per pixel; its overlay is shrunk to about 8 megapixels.
"""

from __future__ import annotations

import glob
import io
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from maskzoo.models.errors import DataError, ZooError
from maskzoo.models.images.decode import decode_image, read_header
from maskzoo.models.images.draw import encode_indexed_png, overlay
from maskzoo.models.images.rows import open_rows
from maskzoo.models.inference.options import DEFAULT_OPTIONS, PredictOptions
from maskzoo.models.inference.postprocess import id_type
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.inference.segmentation import class_counts
from maskzoo.models.inference.tiled import OnTile, PixelRows, write_strips
from maskzoo.models.labels import LabelSet

MAX_TILED_PIXELS = 1_000_000_000
"""The largest image that is tiled."""

_OVERLAY_PIXELS = 8_000_000

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}


@dataclass(frozen=True)
class Task:
    """One image and the files it will be written to; `overlay` is None where none is wanted."""

    image: Path
    mask: Path
    overlay: Path | None


@dataclass(frozen=True)
class Outcome:
    """What became of one task: sizes and class shares, or `error`.

    Args:
        task: the files.
        height, width: size of the upright image and of its mask, in pixels.
        shares: share of the pixels (0-1) of each class that occurs, largest first.
        seconds: time by stage.
        error: why there is no mask.
    """

    task: Task
    height: int = 0
    width: int = 0
    shares: dict[str, float] | None = None
    seconds: dict[str, float] | None = None
    error: str | None = None


def plan(inputs: Sequence[str], out: Path, *, overlays: bool = True) -> list[Task]:
    """Return one task for each image that `inputs` names, in order, each image once.

    Args:
        inputs: files, folders (searched with their sub-folders) and glob patterns.
        out: the folder to write below; images already in it are no inputs.
        overlays: whether to write overlays too.

    Raises:
        DataError: lists every input that names no image and every pair that would collide.
    """
    mistakes: list[str] = []
    tasks: dict[Path, Task] = {}
    owners: dict[Path, Path] = {}
    for text in inputs:
        found = _expand(text, out.resolve())
        if not found:
            mistakes.append(_explain_empty(text))
        for image, name in found:
            if image.resolve() in tasks:
                continue
            mask = out / "masks" / name.with_name(name.name + ".png")
            drawn = out / "overlays" / name.with_name(name.name + ".jpg") if overlays else None
            if mask in owners:
                mistakes.append(
                    f"{owners[mask]} and {image} would both be written to {mask}: rename one, or "
                    "predict them into different folders"
                )
            owners.setdefault(mask, image)
            tasks[image.resolve()] = Task(image, mask, drawn)
    written = [file for task in tasks.values() for file in (task.mask, task.overlay) if file]
    for file in written:
        if file.resolve() in tasks:
            mistakes.append(f"{file} is an input and would be written over: choose another folder")
    if mistakes:
        raise DataError("\n".join(mistakes))
    return list(tasks.values())


def predict_files(
    predictor: Predictor,
    tasks: Sequence[Task],
    options: PredictOptions = DEFAULT_OPTIONS,
    *,
    opacity: float = 0.5,
    on_tile: OnTile = lambda done, total: None,
) -> Iterator[Outcome]:
    """Segment and write each task in turn; an image that cannot be read becomes an `error`.

    Args:
        predictor: the network to use.
        tasks: what to read and write, from `plan`.
        options: how the images are predicted; no confidence is computed.
        opacity: of the mask in the overlay, 0-1.
        on_tile: called with the number of the image's tiles that are done, and of all.
    """
    options = replace(options, confidence=False, probabilities=False)
    for task in tasks:
        try:
            header = read_header(task.image)
            plan = predictor.plan((header.height, header.width), options)
            if plan.mode == "tiled":
                yield _predict_tiled(predictor, task, options, opacity, on_tile)
            else:
                yield _predict_file(predictor, task, options, opacity)
        except ZooError as error:
            yield Outcome(task, error=str(error))


def _predict_file(
    predictor: Predictor, task: Task, options: PredictOptions, opacity: float
) -> Outcome:
    decoded = decode_image(task.image, name=str(task.image))
    result = predictor.segment(decoded.pixels, options)
    if task.overlay is not None:
        drawn = overlay(decoded.pixels, result.label_map, result.labels, opacity)
        _write_jpeg(task.overlay, drawn)
    return _finish(task, result.label_map, result.labels, dict(result.timings))


def _predict_tiled(
    predictor: Predictor,
    task: Task,
    options: PredictOptions,
    opacity: float,
    on_tile: OnTile,
) -> Outcome:
    begun = time.perf_counter()
    labels = predictor.labels
    with open_rows(task.image, max_pixels=MAX_TILED_PIXELS) as source:
        label_map = np.empty((source.height, source.width), id_type(labels.num_classes))
        write_strips(predictor.segment_rows(source, options, on_tile=on_tile), label_map, None)
        seconds = {"network": time.perf_counter() - begun}
        if task.overlay is not None:
            _write_jpeg(task.overlay, _draw_small(source, label_map, labels, opacity))
    return _finish(task, label_map, labels, seconds)


def _finish(
    task: Task, label_map: np.ndarray, labels: LabelSet, seconds: dict[str, float]
) -> Outcome:
    names = labels.names
    task.mask.parent.mkdir(parents=True, exist_ok=True)
    task.mask.write_bytes(encode_indexed_png(label_map, labels))
    counts = class_counts(label_map, len(names)) / label_map.size
    shares = {names[index]: float(counts[index]) for index in np.argsort(-counts) if counts[index]}
    height, width = label_map.shape
    return Outcome(task, height, width, shares, seconds)


def _draw_small(
    source: PixelRows, label_map: np.ndarray, labels: LabelSet, opacity: float
) -> np.ndarray:
    """Return an overlay of at most about `_OVERLAY_PIXELS`, drawn from top to bottom."""
    height, width = label_map.shape
    factor = max(1.0, math.sqrt(label_map.size / _OVERLAY_PIXELS))
    small_width = max(1, round(width / factor))
    small = np.empty((max(1, round(height / factor)), small_width, 3), np.uint8)
    rows = max(1, 256 // math.ceil(factor))  # of the small image, drawn at a time
    for top in range(0, len(small), rows):
        bottom = min(top + rows, len(small))
        span = slice(round(top * height / len(small)), round(bottom * height / len(small)))
        drawn = overlay(source.read(span.start, span.stop), label_map[span], labels, opacity)
        part = cv2.resize(drawn, (small_width, bottom - top), interpolation=cv2.INTER_AREA)
        small[top:bottom] = part
    return small


def _write_jpeg(path: Path, pixels: np.ndarray) -> None:
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "JPEG", quality=92)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(picture.getvalue())


def _expand(text: str, out: Path) -> list[tuple[Path, Path]]:
    """Return (image, name below the output folder, without suffix) of one input."""
    if not text:  # as a path it would be the working directory
        return []
    given = Path(text)
    if given.is_dir():
        files = sorted(file for file in given.rglob("*") if file.suffix.lower() in SUFFIXES)
        return [
            (file, file.relative_to(given).with_suffix(""))
            for file in files
            if file.is_file() and not file.resolve().is_relative_to(out)
        ]
    if given.is_file():
        return [(given, Path(given.stem))]
    files = [Path(name) for name in sorted(glob.glob(text, recursive=True))]
    return [(file, Path(file.stem)) for file in files if file.is_file()]


def _explain_empty(text: str) -> str:
    if text and Path(text).is_dir():
        return f"folder {text!r} holds no image; looked for {', '.join(sorted(SUFFIXES))}"
    if glob.has_magic(text):
        return f"no file matches {text!r}"
    return f"{text!r} does not exist: give image files, folders or glob patterns"
