"""Images without masks, for a teacher to answer: found, checked, and kept apart from the splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from maskzoo.models.errors import DataError, ZooError, counted
from maskzoo.models.images.decode import read_header
from maskzoo.models.weights.checkpoint import sha256_of
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.files.listing import Listing

_SHOWN = 5


def with_unlabelled(data: SegmentationData, folder: Path) -> SegmentationData:
    """Return the data with the images in a folder, and those below it, as unlabelled ones.

    Images that the data holds already, by content, are left out with a note: those of train have
    masks, and those of val and test must stay unseen.

    Raises:
        DataError: the folder does not exist or has no further image, or one cannot be read.
    """
    listing = Listing.of(folder)
    images = listing.files()
    if not images:
        raise DataError(
            f"{str(folder)!r} has no images: teacher.images takes a folder of images without masks"
        )
    known = _known(images, [sample.image for sample in data.all_samples])
    kept = [path for path in images if path not in known]
    notes = [*data.notes]
    if known:
        notes.append(
            f"{counted(len(known), 'image')} of {folder} left out of the unlabelled ones: the data "
            f"has them already ({_few(sorted(known))})"
        )
    if not kept:
        raise DataError(f"all images of {str(folder)!r} are in the data already")
    sizes = _sizes(kept)
    names = "".join(
        f"{listing.relative(path)}/{path.stat().st_size}/{sizes[path]}\n" for path in kept
    )
    return replace(
        data,
        unlabelled=tuple(kept),
        unlabelled_sizes=tuple(sizes[path] for path in kept),
        notes=(*notes, f"{counted(len(kept), 'image')} without masks for the teacher"),
        fingerprint=hashlib.sha256(f"{data.fingerprint}\n{names}".encode()).hexdigest(),
    )


def _known(images: Iterable[Path], others: Iterable[Path]) -> set[Path]:
    """Return the images with the content of one of `others`; only files of one length are read."""
    by_length: dict[int, list[Path]] = {}
    for path in others:
        by_length.setdefault(path.stat().st_size, []).append(path)
    digests: dict[int, set[str]] = {}
    known = set()
    for path in images:
        length = path.stat().st_size
        if length not in by_length:
            continue
        if length not in digests:
            digests[length] = {sha256_of(other) for other in by_length[length]}
        if sha256_of(path) in digests[length]:
            known.add(path)
    return known


def _sizes(images: Iterable[Path]) -> dict[Path, tuple[int, int]]:
    """Return the upright (H, W) of each image.

    Raises:
        DataError: lists those that cannot be read.
    """
    sizes, bad = {}, []
    for path in images:
        try:
            info = read_header(path)
        except ZooError as error:
            bad.append(str(error))
        else:
            sizes[path] = (info.height, info.width)
    if bad:
        more = f"\n  … and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise DataError(
            f"{counted(len(bad), 'unlabelled image')} cannot be read; take them out of the folder:"
            + "".join(f"\n  - {text}" for text in bad[:_SHOWN])
            + more
        )
    return sizes


def _few(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")
