"""Scan: reads every mask once, in parallel, and keeps the counts.

A mask leaves its codes with their pixels, its size and a hash; an image leaves its upright size,
its EXIF orientation and a hash. A deep scan decodes the images too: it finds truncated ones, and
keeps a thumbnail of 16 x 16 pixels to find near-duplicates. No larger array outlives its sample, so
memory is bounded by the number of workers. A store of earlier facts spares what has not changed.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError, ImageBandsError, ImageError
from maskzoo.models.images.decode import ImageInfo, decode_image, read_header, read_samples
from maskzoo.models.images.raster.bands import preview
from maskzoo.training.data.joins.joined import JoinedMasks
from maskzoo.training.data.masks.edges import edge_runs
from maskzoo.training.data.masks.reader import MaskReader
from maskzoo.training.data.records.facts import ImageFacts, MaskFacts, PairFacts
from maskzoo.training.data.records.rawmask import RawMask
from maskzoo.training.data.records.samples import Pair
from maskzoo.training.data.scan.painted import FEW_CODES, painted_fraction
from maskzoo.training.data.scan.store import FactStore, Kind

OnProgress = Callable[[int, int], None]
Pixels = npt.NDArray[np.uint8]
IMAGES = Kind("image", ImageFacts)
MASKS = Kind("mask", MaskFacts)
_AHEAD = 4  # pairs under way for each thread
MAX_CODES = 4096  # of one mask; beyond, they are noise, and the rarest are dropped


def scan(
    pairs: Sequence[Pair],
    reader: MaskReader | None = None,
    *,
    deep: bool = False,
    on_progress: OnProgress | None = None,
    workers: int | None = None,
    store: FactStore | None = None,
) -> list[PairFacts]:
    """Read all pairs and return their facts, in the same order.

    Args:
        pairs: the files.
        reader: reads the masks; by default from files.
        deep: decode the images too.
        on_progress: called with (done, total) after each pair.
        workers: number of threads; by default one for each processor, at most eight.
        store: facts of earlier scans; facts of what has not changed since are taken from there.
    """
    scanner = _Scanner(reader or MaskReader(), store, deep=deep)
    threads = workers or min(8, os.cpu_count() or 1)
    facts: list[PairFacts] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="scan") as pool:
        for found in _in_order(pool, scanner.read, pairs, ahead=_AHEAD * threads):
            facts.append(found)
            if on_progress is not None:
                on_progress(len(facts), len(pairs))
    return facts


def _in_order(
    pool: Executor, read: Callable[[Pair], PairFacts], pairs: Iterable[Pair], *, ahead: int
) -> Iterator[PairFacts]:
    """Yield what is read of each pair, in order, with a bounded number of pairs under way."""
    waiting: deque[Future[PairFacts]] = deque()
    for pair in pairs:
        waiting.append(pool.submit(read, pair))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


class _Scanner:
    """Reads one pair at a time, in any thread."""

    def __init__(self, reader: MaskReader, store: FactStore | None, *, deep: bool) -> None:
        self._reader = reader
        self._store = store
        self._deep = deep
        self._options = repr(replace(reader, annotations=None))

    def read(self, pair: Pair) -> PairFacts:
        """Return the facts of a pair."""
        errors: list[tuple[Path, str]] = []
        image: ImageFacts | None = None
        mask: MaskFacts | None = None
        pixels: list[Pixels] = []  # of the image, where it was decoded
        try:
            image = self._image(pair.image, pixels)
        except (ImageError, OSError) as error:
            errors.append((pair.image, str(error)))
        size = image.height_width if image else _announced_size(pair.image)
        if size is None and self._reader.annotations is not None:
            return PairFacts(None, None, tuple(errors))  # outlines need the size of their image
        try:
            orientation = image.orientation if image else 1
            mask = self._mask(pair, size or (0, 0), orientation, pixels)
        except (DataError, OSError) as error:
            errors.append((pair.mask, str(error).removeprefix(f"{pair.mask}: ")))
        return PairFacts(image, mask, tuple(errors))

    def _image(self, path: Path, pixels: list[Pixels]) -> ImageFacts:
        if self._store is None:
            return _scan_image(path, pixels, deep=self._deep)
        return self._store.read(
            IMAGES,
            f"{path} {self._deep}",
            [path],
            lambda: _scan_image(path, pixels, deep=self._deep),
        )

    def _mask(
        self, pair: Pair, size: tuple[int, int], orientation: int, pixels: list[Pixels]
    ) -> MaskFacts:
        def make() -> MaskFacts:
            raw = self._reader.read(pair.image, pair.mask, size, orientation)
            facts = _mask_facts(raw, _mask_hash(raw, pair.mask, self._reader))
            if self._reader.annotations is None and len(facts.counts) > FEW_CODES:
                return replace(facts, painted=_painted(raw, pair.image, pixels))
            return facts

        if self._store is None:
            return make()
        files, extra = _sources(pair, self._reader)
        key = f"{pair.mask} of {pair.image}"
        return self._store.read(MASKS, key, files, make, self._options + extra)


def _sources(pair: Pair, reader: MaskReader) -> tuple[list[Path], str]:
    """Return the files that a mask is made from, and what else its facts depend on."""
    annotations = reader.annotations
    if annotations is None:
        return [pair.image, pair.mask], ""
    if isinstance(annotations, JoinedMasks):
        parts = annotations.parts.get(pair.image, ())
        names = [annotations.names[label] for label, _ in parts]
        return [pair.image, *annotations.files(pair.image)], repr((annotations.names, names))
    shapes = annotations.read(pair.image, pair.mask)
    content = pickle.dumps((shapes, annotations.names))
    return [pair.image], hashlib.sha256(content).hexdigest()


def _painted(raw: RawMask, image: Path, pixels: Sequence[Pixels]) -> float:
    """Return how much of a mask is its image; 0 for an image that is reported elsewhere."""
    try:
        shown = pixels[0] if pixels else decode_image(image, max_pixels=None).pixels
        return painted_fraction(raw, shown)
    except (ImageError, OSError):
        return 0.0


def _announced_size(path: Path) -> tuple[int, int] | None:
    """Return the size in the header of a damaged image, or None where that is damaged too."""
    try:
        info = read_header(path)
    except (ImageError, OSError):
        return None
    return info.height, info.width


def _mask_hash(raw: RawMask, mask: Path, reader: MaskReader) -> str:
    """Return a hash of the file of a mask, or of its pixels where many masks share one file."""
    if reader.annotations is None:
        return file_hash(mask)
    return hashlib.sha256(np.ascontiguousarray(raw.codes).tobytes()).hexdigest()


def _scan_image(path: Path, shown: list[Pixels], *, deep: bool) -> ImageFacts:
    """Return the facts of an image; put its pixels into `shown` where they are decoded."""
    if not deep:
        return _image_facts(read_header(path), path, None)
    try:
        decoded = decode_image(path, max_pixels=None)
        pixels, info = decoded.pixels, decoded.info
        shown.append(pixels)
    except ImageBandsError:
        info, stored = read_samples(path, max_pixels=None)
        pixels = preview(stored)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (16, 16), interpolation=cv2.INTER_AREA)
    return _image_facts(info, path, small.tobytes())


def _image_facts(info: ImageInfo, path: Path, thumbnail: bytes | None) -> ImageFacts:
    size = (info.height, info.width)
    return ImageFacts(
        size,
        info.orientation,
        info.mode,
        file_hash(path),
        thumbnail,
        bands=info.bands,
        bit_depth=info.bit_depth,
        has_alpha=info.format == "TIFF" and info.alpha != "none",
        remarks=info.remarks,
    )


def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _mask_facts(raw: RawMask, sha256: str) -> MaskFacts:
    """Return the counts of the codes in a mask."""
    middle = len(raw.codes) // 2
    upper, lower = _counts(raw.codes[:middle]), _counts(raw.codes[middle:])
    counts = Counter(upper) + Counter(lower)
    kept = dict(sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:MAX_CODES])
    runs, at_edges = edge_runs(raw, kept)
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
        sha256=sha256,
        palette=palette,
        runs=runs,
        edge_runs=at_edges,
        num_uncounted=sum(counts.values()) - sum(kept.values()),
        no_data=raw.no_data,
        overlap=raw.overlap,
        half_transparent=raw.half_transparent,
        lossy=raw.lossy,
        tally=raw.tally,
    )


def _filled_blocks(codes: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return the code of each block of 2 x 2 pixels of one code, flat; blocks overlap."""
    first = codes[:-1, :-1]
    same = (first == codes[:-1, 1:]) & (first == codes[1:, :-1]) & (first == codes[1:, 1:])
    blocks: npt.NDArray[np.integer] = first[same]
    return blocks


def _counts(codes: npt.NDArray[np.integer]) -> dict[int, int]:
    values, counts = count_codes(codes)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def count_codes(
    codes: npt.NDArray[np.integer],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the different codes, sorted, and their counts."""
    flat = codes.ravel()
    if flat.size == 0:  # the upper half of a mask of one row
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    if flat.dtype == np.uint8:
        counts = np.bincount(flat, minlength=256)
        present = np.flatnonzero(counts)
        return present, counts[present]
    # Masks consist of runs: sorting one code for each run is far cheaper than sorting all pixels.
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    lengths = np.diff(np.append(starts, flat.size))
    values, places = np.unique(flat[starts], return_inverse=True)
    return values.astype(np.int64), np.bincount(places, weights=lengths).astype(np.int64)
