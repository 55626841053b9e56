"""Output files of batch prediction: which images the inputs name, and where their masks go."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.errors import DataError
from maskzoo.models.images.origin import read_origin

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}


@dataclass(frozen=True)
class OutputFiles:
    """One image and the files that are written for it; no overlay where none is wanted."""

    image: Path
    mask: Path
    overlay: Path | None


def list_outputs(inputs: Sequence[str], out: Path, *, overlays: bool = True) -> list[OutputFiles]:
    """Return the files of each image that `inputs` name, in order, each image once.

    Args:
        inputs: files, folders (searched with their sub-folders) and glob patterns.
        out: the folder to write below; images already in it are not inputs.
        overlays: whether to write overlays too.

    Raises:
        DataError: lists every input that names no image and every pair that would collide.
    """
    mistakes: list[str] = []
    outputs: dict[Path, OutputFiles] = {}
    owners: dict[Path, Path] = {}
    for text in inputs:
        named = _expand(text, out.resolve())
        if not named:
            mistakes.append(_explain_empty(text))
        for image, name in named:
            if image.resolve() in outputs:
                continue
            mask = out / "masks" / name.with_name(name.name + ".png")
            overlay = out / "overlays" / name.with_name(name.name + ".jpg") if overlays else None
            if mask in owners:
                mistakes.append(
                    f"{owners[mask]} and {image} would both be written to {mask}: rename one, or "
                    "predict them into different folders"
                )
            owners.setdefault(mask, image)
            outputs[image.resolve()] = OutputFiles(image, mask, overlay)
    written = [file for each in outputs.values() for file in (each.mask, each.overlay) if file]
    for file in written:
        if file.resolve() in outputs:
            mistakes.append(f"{file} is an input and would be overwritten: choose another folder")
    if mistakes:
        raise DataError("\n".join(mistakes))
    return list(outputs.values())


def check_unedited(outputs: Sequence[OutputFiles]) -> None:
    """Raise `DataError` if a mask exists that was not written by a prediction, or edited since."""
    masks = [files.mask for files in outputs]
    unknown = [mask for mask in masks if mask.exists() and read_origin(mask) is None]
    if unknown:
        first = unknown[0]
        what = f"{first} was" if len(unknown) == 1 else f"{len(unknown)} masks, as {first}, were"
        raise DataError(
            f"{what} written by something else, or edited since: nothing was computed; give "
            "--again to write over all masks, or choose another folder with -o"
        )


def _expand(text: str, out: Path) -> list[tuple[Path, Path]]:
    """Return (image, name below the output folder without suffix) for one input."""
    if not text:  # as a path it would be the working directory
        return []
    given = Path(text)
    if given.is_dir():
        files = sorted(file for file in _files_below(given) if file.suffix.lower() in SUFFIXES)
        return [
            (file, file.relative_to(given).with_suffix(""))
            for file in files
            if file.is_file() and not file.resolve().is_relative_to(out)
        ]
    if given.is_file():
        return [(given, Path(given.stem))]
    files = [Path(name) for name in sorted(glob.glob(text, recursive=True))]
    return [(file, Path(file.stem)) for file in files if file.is_file()]


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder; links are followed, unless they lead back to one above."""
    stack = [(folder, frozenset({folder.resolve()}))]
    while stack:
        current, above = stack.pop()
        for path in current.iterdir():
            if not path.is_dir():
                yield path
            elif (real := path.resolve()) not in above:
                stack.append((path, above | {real}))


def _explain_empty(text: str) -> str:
    if text and Path(text).is_dir():
        return f"folder {text!r} has no images; looked for {', '.join(sorted(SUFFIXES))}"
    if glob.has_magic(text):
        return f"no file matches {text!r}"
    return f"{text!r} does not exist: give image files, folders or glob patterns"
