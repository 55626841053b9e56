"""Output files of batch prediction: which images the inputs name, where masks go, what exists.

An input is an image, a folder, a glob pattern, or a list: a `.txt` file with the path of an image
on each line, from the list's own folder. An image of a list is named by its path below that folder,
or by its whole path where it lies elsewhere, so its outputs stay where they are when the list
changes.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.models.images.origin import MaskOrigin, read_origin

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"}
LIST_SUFFIX = ".txt"
"""Of a file that lists images."""


@dataclass(frozen=True)
class OutputFiles:
    """One image and the files that are written for it; no overlay where none is wanted."""

    image: Path
    mask: Path
    overlay: Path | None


def list_outputs(inputs: Sequence[str], out: Path, *, overlays: bool = True) -> list[OutputFiles]:
    """Return the files of each image that `inputs` name, in order, each image once.

    Args:
        inputs: files, folders (searched with their sub-folders), glob patterns and lists. Whether
            the images of a list exist is not asked.
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


@dataclass(frozen=True)
class Existing:
    """The mask that is there before a run, if any.

    Args:
        is_kept: it and its overlay are what the run would write.
        is_foreign: it was not written by a prediction, or was edited since.
        reason: why it is written again.
    """

    is_kept: bool = False
    is_foreign: bool = False
    reason: str | None = None


def examine_output(files: OutputFiles, origin: MaskOrigin) -> Existing:
    """Compare the mask and the overlay of an image with those that a run would write.

    Args:
        files: the image, its mask and its overlay.
        origin: what all masks of the run have in common.
    """
    if not files.mask.exists():
        return Existing()
    known = read_origin(files.mask)
    if known is None:
        return Existing(is_foreign=True)
    try:
        wanted = origin.of_image(files.image)
    except OSError:  # who predicts it reads it again, and reports it
        return Existing()
    reason = known.difference(wanted)
    if reason is None and not _has_overlay(files, wanted):
        reason = "no overlay of it"
    return Existing(is_kept=reason is None, reason=reason)


def _has_overlay(files: OutputFiles, origin: MaskOrigin) -> bool:
    """Return whether no overlay is wanted, or the one that exists shows the mask of `origin`."""
    if files.overlay is None:
        return True
    try:
        with Image.open(files.overlay) as drawn:
            return bool(drawn.info.get("comment") == origin.digest().encode())
    except OSError:
        return False


def read_list(file: Path) -> list[str]:
    """Return the lines of a list of images, less the empty ones."""
    text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    return [line.strip() for line in text.split("\n") if line.strip()]


def _listed(file: Path) -> list[tuple[Path, Path]]:
    folder = file.parent.absolute()
    named = []
    for line in read_list(file):
        path = Path(os.path.normpath(folder / line))
        name = path.relative_to(folder if path.is_relative_to(folder) else path.anchor)
        named.append((file.parent / line, name.with_suffix("")))
    return named


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
    if given.is_file() and given.suffix.lower() == LIST_SUFFIX:
        return _listed(given)
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
    if Path(text).is_file():
        return f"list {text!r} names no image: give one path a line"
    return f"{text!r} does not exist: give image files, folders, glob patterns or lists (.txt)"
