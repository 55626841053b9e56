"""Read every mask once, in parallel, and keep only what is counted.

Of a mask stay the codes with their pixel counts, the size and a hash; of an image the upright
size, whether its EXIF tag turns it, and a hash. No pixel array outlives its own sample, so memory
is bounded by the number of workers.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.errors import DataError, ImageError
from models.inference.decode import read_header
from training.data.maskfile import Kind, RawMask, read_raw_mask

Progress = Callable[[int, int], None]
MAX_CODES = 4096  # more codes than this in one file are noise: the rest is only counted


@dataclass(frozen=True)
class MaskFacts:
    """What one mask file holds.

    Args:
        kind, mode, palette: as in `RawMask`; the palette only for the indices in use.
        height_width: H and W.
        counts: pixels of each code, at most `MAX_CODES` of them, the most frequent.
        num_codes: number of different codes in the file.
        sha256: hash of the file.
    """

    kind: Kind
    mode: str
    height_width: tuple[int, int]
    counts: Mapping[int, int]
    num_codes: int
    sha256: str
    palette: Mapping[int, int] | None = None

    def as_colours(self) -> dict[int, int]:
        """Return the counts by packed colour."""
        if self.kind == "colours":
            return dict(self.counts)
        result: dict[int, int] = {}
        for code, count in self.counts.items():
            grey = min(code, 255) * 0x010101
            colour = grey if self.palette is None else self.palette.get(code, grey)
            result[colour] = result.get(colour, 0) + count
        return result


@dataclass(frozen=True)
class ImageFacts:
    """What one image file says of itself: upright size (H, W), EXIF turn, mode, hash."""

    height_width: tuple[int, int]
    exif_turned: bool
    mode: str
    sha256: str


@dataclass(frozen=True)
class Facts:
    """An image and its mask; what could not be read is None, with the reason in `errors`."""

    image: ImageFacts | None
    mask: MaskFacts | None
    errors: tuple[tuple[Path, str], ...] = ()


def scan(
    pairs: Sequence[tuple[Path, Path]],
    *,
    read_mask: Callable[[Path, Path], RawMask] | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> list[Facts]:
    """Read all pairs (image, mask) and return their facts in order.

    Args:
        pairs: the files.
        read_mask: gives the mask of (image, mask file) where the latter is no picture.
        progress: called with (done, total) after each pair.
        workers: threads; as many as there are processors, at most eight, if not given.
    """
    reader = read_mask or _read_picture
    threads = workers or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="scan") as pool:
        found = pool.map(lambda pair: _scan_pair(pair[0], pair[1], reader), pairs)
        return list(_counted(found, len(pairs), progress))


def _counted(items: Iterator[Facts], total: int, progress: Progress | None) -> Iterator[Facts]:
    for done, item in enumerate(items, start=1):
        if progress is not None:
            progress(done, total)
        yield item


def _read_picture(image: Path, mask: Path) -> RawMask:
    return read_raw_mask(mask)


def _scan_pair(image: Path, mask: Path, reader: Callable[[Path, Path], RawMask]) -> Facts:
    errors: list[tuple[Path, str]] = []
    image_facts: ImageFacts | None = None
    mask_facts: MaskFacts | None = None
    try:
        image_facts = scan_image(image)
    except (ImageError, OSError) as error:
        errors.append((image, str(error)))
    try:
        mask_facts = mask_facts_of(reader(image, mask), file_hash(mask))
    except (DataError, OSError) as error:
        errors.append((mask, str(error).removeprefix(f"{mask}: ")))
    return Facts(image_facts, mask_facts, tuple(errors))


def scan_image(path: Path) -> ImageFacts:
    """Read an image's header and hash.

    Raises:
        ImageError: it is no image of an allowed format.
    """
    info = read_header(path)
    size = (info.height, info.width)
    return ImageFacts(size, info.exif_transposed, info.mode, file_hash(path))


def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def mask_facts_of(raw: RawMask, sha256: str) -> MaskFacts:
    """Count the codes of a mask."""
    codes, counts = count_codes(raw.codes)
    order = np.argsort(-counts, kind="stable")[:MAX_CODES]
    kept = {int(codes[place]): int(counts[place]) for place in order}
    palette = raw.palette
    if palette is not None:
        palette = {code: palette[code] for code in sorted(kept) if code in palette}
    return MaskFacts(raw.kind, raw.mode, raw.height_width, kept, len(codes), sha256, palette)


def count_codes(
    codes: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the different codes and their counts; -1 and the like become 65535."""
    flat = codes.ravel()
    if flat.dtype == np.uint8:
        counts = np.bincount(flat, minlength=256)
        present = np.flatnonzero(counts)
        return present, counts[present]
    if flat.dtype.kind == "i":
        flat = np.where(flat < 0, 65535, flat)
    # Masks are made of runs: sorting one entry a run is far cheaper than sorting all pixels.
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(np.append(starts, flat.size))
    values, places = np.unique(flat[starts], return_inverse=True)
    return values.astype(np.int64), np.bincount(places, weights=lengths).astype(np.int64)
