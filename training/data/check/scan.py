"""Read every mask once, in parallel, and keep only what is counted.

Of a mask stay the codes with their pixel counts, the size and a hash; of an image the upright
size, whether its EXIF tag turns it, and a hash. A deep scan decodes the images too, which finds
the truncated ones, and keeps a thumbnail of 16 x 16 to find near-duplicates. No larger array
outlives its own sample, so memory is bounded by the number of workers.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError, ImageError
from maskzoo.models.images.decode import ImageInfo, decode_image, read_header
from maskzoo.models.images.samples import upright
from maskzoo.training.data.find.index import Pair
from maskzoo.training.data.masks.maskfile import Kind, RawMask, read_raw_mask
from maskzoo.training.data.masks.polygons import Annotations

Progress = Callable[[int, int], None]
MAX_CODES = 4096  # more codes than this in one file are noise: the rest is only counted


@dataclass(frozen=True)
class MaskFacts:
    """What one mask file holds.

    Args:
        kind, mode, palette: as in `RawMask`; the palette only for the indices in use.
        height_width: H and W.
        counts: pixels of each code, at most `MAX_CODES` of them, the most frequent.
        upper: the same of the upper half alone.
        solid: how many blocks of 2 x 2 pixels each of these codes fills: classes fill areas, noise
            does not.
        num_codes: number of different codes in the file.
        sha256: hash of the file.
    """

    kind: Kind
    mode: str
    height_width: tuple[int, int]
    counts: Mapping[int, int]
    upper: Mapping[int, int]
    solid: Mapping[int, int]
    num_codes: int
    sha256: str
    palette: Mapping[int, int] | None = None

    def as_colours(self) -> dict[int, int]:
        """Return the counts by packed colour."""
        return self.by_colour(self.counts)

    def by_colour(self, counts: Mapping[int, int]) -> dict[int, int]:
        """Return counts of this file's codes by packed colour."""
        if self.kind == "colours":
            return dict(counts)
        result: dict[int, int] = {}
        for code, count in counts.items():
            grey = min(code, 255) * 0x010101
            colour = grey if self.palette is None else self.palette.get(code, grey)
            result[colour] = result.get(colour, 0) + count
        return result


@dataclass(frozen=True)
class ImageFacts:
    """What one image file is.

    Args:
        height_width: upright H and W.
        orientation: the EXIF number, 1 if there is none.
        mode: the stored pixels, such as `RGB` or `RGBA`.
        sha256: hash of the file.
        thumbnail: 16 x 16 grey pixels, from a deep scan.
    """

    height_width: tuple[int, int]
    orientation: int
    mode: str
    sha256: str
    thumbnail: bytes | None = None


@dataclass(frozen=True)
class Facts:
    """An image and its mask; what could not be read is None, with the reason in `errors`."""

    image: ImageFacts | None
    mask: MaskFacts | None
    errors: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True)
class ScanOptions:
    """How files are read.

    Args:
        annotations: draws masks that are stored as polygons.
        turn_masks: masks are stored as the camera saw them and are turned like their image.
        deep: decode the images as well.
    """

    annotations: Annotations | None = None
    turn_masks: bool = False
    deep: bool = False


def scan(
    pairs: Sequence[Pair],
    options: ScanOptions | None = None,
    *,
    progress: Progress | None = None,
    workers: int | None = None,
) -> list[Facts]:
    """Read all pairs and return their facts in order.

    Args:
        pairs: the files.
        options: how they are read.
        progress: called with (done, total) after each pair.
        workers: threads; as many as there are processors, at most eight, if not given.
    """
    chosen = options or ScanOptions()
    threads = workers or min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads, thread_name_prefix="scan") as pool:
        found = pool.map(lambda pair: _scan_pair(pair, chosen), pairs)
        return list(_counted(found, len(pairs), progress))


def _counted(items: Iterator[Facts], total: int, progress: Progress | None) -> Iterator[Facts]:
    for done, item in enumerate(items, start=1):
        if progress is not None:
            progress(done, total)
        yield item


def _scan_pair(pair: Pair, options: ScanOptions) -> Facts:
    errors: list[tuple[Path, str]] = []
    image: ImageFacts | None = None
    mask: MaskFacts | None = None
    try:
        image = _scan_image(pair.image, deep=options.deep)
    except (ImageError, OSError) as error:
        errors.append((pair.image, str(error)))
    try:
        raw = load_raw_mask(pair.image, pair.mask, options.annotations)
        if options.turn_masks and image is not None:
            raw = turned(raw, image.orientation)
        mask = _mask_facts(raw, _mask_hash(raw, pair.mask, options.annotations))
    except (DataError, ImageError, OSError) as error:
        if not (image is None and options.annotations):  # else it was told above
            errors.append((pair.mask, str(error).removeprefix(f"{pair.mask}: ")))
    return Facts(image, mask, tuple(errors))


def load_raw_mask(image: Path, mask: Path, annotations: Annotations | None) -> RawMask:
    """Read or draw the mask of an image.

    Raises:
        DataError: it cannot be read.
    """
    return read_raw_mask(mask) if annotations is None else annotations.draw(image, mask)


def turned(raw: RawMask, orientation: int) -> RawMask:
    """Turn a mask as its image is turned by EXIF."""
    codes = upright(np.ascontiguousarray(raw.codes), orientation)
    return RawMask(codes, raw.kind, raw.mode, raw.palette)


def _mask_hash(raw: RawMask, mask: Path, annotations: Annotations | None) -> str:
    if annotations is None:
        return file_hash(mask)
    return hashlib.sha256(np.ascontiguousarray(raw.codes).tobytes()).hexdigest()


def _scan_image(path: Path, *, deep: bool) -> ImageFacts:
    if not deep:
        return _image_facts(read_header(path), path, None)
    decoded = decode_image(path, max_pixels=None)
    grey = cv2.cvtColor(decoded.pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA)
    return _image_facts(decoded.info, path, small.tobytes())


def _image_facts(info: ImageInfo, path: Path, thumbnail: bytes | None) -> ImageFacts:
    size = (info.height, info.width)
    return ImageFacts(size, info.orientation, info.mode, file_hash(path), thumbnail)


def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _mask_facts(raw: RawMask, sha256: str) -> MaskFacts:
    """Count the codes of a mask."""
    middle = len(raw.codes) // 2
    upper, lower = _counts(raw.codes[:middle]), _counts(raw.codes[middle:])
    counts = Counter(upper) + Counter(lower)
    kept = dict(sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:MAX_CODES])
    palette = raw.palette
    if palette is not None:
        palette = {code: palette[code] for code in sorted(kept) if code in palette}
    return MaskFacts(
        kind=raw.kind,
        mode=raw.mode,
        height_width=raw.height_width,
        counts=kept,
        upper={code: count for code, count in upper.items() if code in kept},
        solid={code: n for code, n in _counts(_filled_blocks(raw.codes)).items() if code in kept},
        num_codes=len(counts),
        sha256=sha256,
        palette=palette,
    )


def _filled_blocks(codes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return, flat, the code of each block of 2 x 2 pixels that has but one; blocks overlap."""
    first = codes[:-1, :-1]
    same = (first == codes[:-1, 1:]) & (first == codes[1:, :-1]) & (first == codes[1:, 1:])
    return first[same]


def _counts(codes: npt.NDArray[np.integer]) -> dict[int, int]:
    return dict(zip(*(part.tolist() for part in count_codes(codes)), strict=True))


def count_codes(
    codes: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the different codes and their counts; -1 and the like become 65535."""
    flat = codes.ravel()
    if flat.size == 0:  # as the upper half of a mask of one row
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
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
