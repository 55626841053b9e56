"""Segment many image files into a folder: what `maskzoo predict` does.

`OUT/masks/NAME.png` is the indexed mask with the palette, `OUT/overlays/NAME.jpg` the mask over the
image. NAME is the input's path below the folder that was given, or its bare name, without suffix.
Two inputs that would be written to one file are refused before any work.
"""

from __future__ import annotations

import glob
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from models.errors import DataError, ZooError
from models.inference.decode import decode_image
from models.inference.draw import encode_indexed_png, overlay
from models.inference.predictor import Predictor

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
    predictor: Predictor, tasks: Sequence[Task], *, mode: str = "auto", opacity: float = 0.5
) -> Iterator[Outcome]:
    """Segment and write each task in turn; an image that cannot be read becomes an `error`.

    Args:
        predictor: the network to use.
        tasks: what to read and write, from `plan`.
        mode: as in `Predictor.segment`.
        opacity: of the mask in the overlay, 0-1.
    """
    for task in tasks:
        try:
            yield _predict_file(predictor, task, mode, opacity)
        except ZooError as error:
            yield Outcome(task, error=str(error))


def _predict_file(predictor: Predictor, task: Task, mode: str, opacity: float) -> Outcome:
    decoded = decode_image(task.image, name=str(task.image))
    result = predictor.segment(decoded.pixels, mode=mode)
    labels, names = result.labels, result.label_set.names
    task.mask.parent.mkdir(parents=True, exist_ok=True)
    task.mask.write_bytes(encode_indexed_png(labels, result.label_set))
    if task.overlay is not None:
        picture = io.BytesIO()
        drawn = overlay(decoded.pixels, labels, result.label_set, opacity)
        Image.fromarray(drawn).save(picture, "JPEG", quality=92)
        task.overlay.parent.mkdir(parents=True, exist_ok=True)
        task.overlay.write_bytes(picture.getvalue())
    counts = np.bincount(labels.ravel(), minlength=len(names))[: len(names)] / labels.size
    shares = {names[index]: float(counts[index]) for index in np.argsort(-counts) if counts[index]}
    height, width = labels.shape
    return Outcome(task, height, width, shares, dict(result.timings))


def _expand(text: str, out: Path) -> list[tuple[Path, Path]]:
    """Return (image, name below the output folder without suffix) for one input."""
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
    if Path(text).is_dir():
        return f"folder {text!r} holds no image; looked for {', '.join(sorted(SUFFIXES))}"
    if glob.has_magic(text):
        return f"no file matches {text!r}"
    return f"{text!r} does not exist: give image files, folders or glob patterns"
