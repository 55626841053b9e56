"""Bands of the images of a data set: which are used, and how their values become pixels.

8-bit RGB and grey images are read as such. Of all others - further bands, 16 bits, floats - each
band is scaled by its own range in the images of train, so that one value becomes the same pixel in
every file and in the service. Samples of some images, spread evenly, are enough for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from maskzoo.models.errors import ImageError, SpecError, counted
from maskzoo.models.images.decode import decode_image, read_samples
from maskzoo.models.images.raster.bands import StoredSamples
from maskzoo.models.images.raster.gdal import missing
from maskzoo.models.preprocessing import Band, Bands, Preprocessing
from maskzoo.training.data.records.description import FILE_NAME, Description
from maskzoo.training.data.records.facts import BandFacts, ImageFacts, PairFacts
from maskzoo.training.data.records.findings import Findings
from maskzoo.training.data.records.problems import DataProblem, ProblemItem, exclude_cure
from maskzoo.training.data.records.samples import Sample

_MAX_IMAGES = 64
_MAX_VALUES = 1 << 20  # of one band, over all images
_FEWEST_VALUES = 4096  # of one band and image
_PERCENTILES = (0.1, 99.9)
_ALPHA_IMAGES = 8  # whose alpha is looked at
_LEAST_STD = 0.01  # a band of one value has none

Rows = Sequence[tuple[Sample, PairFacts]]


def find_bands(rows: Rows, description: Description) -> BandFacts | None:
    """Return the bands of the images; None where they are read as RGB or grey.

    Args:
        rows: images with their facts.
        description: whose `bands`, `band_names` and `no_data` stand above what files say.

    Raises:
        SpecError: the description names a band that the files do not have.
    """
    read = [(sample, facts.image) for sample, facts in rows if facts.image is not None]
    if not read:
        return None
    images = [image for _, image in read]
    kinds = Counter(image.bands for image in images)
    flagged = [sample.image for sample, image in read if image.has_alpha]
    alpha_is_band = 2 * len(flagged) > len(read) and _alpha_is_band(flagged)
    has_others = any(bands not in (1, 3) for bands in kinds)
    are_deep = len(kinds) == 1 and all(image.bit_depth > 8 for image in images)
    if not (has_others or are_deep or alpha_is_band or description.bands):
        return None
    bands = kinds.most_common(1)[0][0]
    chosen = [
        sample
        for sample, image in read
        if image.bands == bands and (image.has_alpha or not alpha_is_band)
    ]
    trained = [sample for sample in chosen if sample.split == "train"] or chosen
    step = max(1, len(trained) / _MAX_IMAGES)
    paths = [trained[int(place)].image for place in np.arange(0, len(trained), step)]
    return _measure(paths, description, alpha_is_band=alpha_is_band)


def check_bands(findings: Findings) -> list[DataProblem]:
    """Report images that have other bands than most."""
    facts = findings.bands
    if facts is None:
        return []
    wanted = facts.bands
    items, stems = [], []
    for sample, pair in findings.rows:
        image = pair.image
        if image is None:
            continue
        is_shallow = wanted.dtype != "uint8" and image.bit_depth <= 8
        if is_shallow or wanted.in_file not in (image.bands, image.bands + image.has_alpha):
            items.append(
                ProblemItem(sample.image, f"{counted(image.bands, 'band')}, stored as {image.mode}")
            )
            stems.append(sample.stem)
    if not items:
        return []
    title = (
        f"{len(items)} of {len(findings.samples)} images have other bands than the "
        f"{wanted.in_file} of {wanted.dtype} that most have"
    )
    cure = f"export all images with the same bands, or leave these out: {exclude_cure(stems)}"
    return [DataProblem("bands", "error", title, cure, tuple(items), tuple(stems))]


def describe_bands(facts: BandFacts | None, images: Sequence[ImageFacts]) -> tuple[str, ...]:
    """Return notes on what of the images is used, as sentences for people."""
    if facts is None:
        remarks = Counter(remark for image in images for remark in image.remarks)
        notes = [f"images: in {n} of {len(images)} {remark}" for remark, n in remarks.items()]
        deep = sum(image.bit_depth > 8 for image in images)
        if deep:
            notes.append(
                f"images: {deep} of {len(images)} have more than 8 bits; each is scaled on its "
                "own, as they are mixed with 8-bit images"
            )
        return tuple(notes)
    bands = facts.bands
    every = counted(bands.in_file, "band")
    used = every if facts.uses_all else f"{len(bands.channels)} of {every}"
    scaled = (
        "as they are"
        if all((band.low, band.high) == (0, 255) for band in bands.channels)
        else f"{_PERCENTILES[0]} to {_PERCENTILES[1]} % of train become 0 to 255"
    )
    notes = [
        f"bands: {used} of {bands.dtype} ({bands.names}), {scaled}; colour transforms are for "
        "8-bit RGB and left out"
    ]
    if facts.missing:
        value = "NaN" if bands.no_data is None else f"{bands.no_data:g}"
        notes.append(
            f"no-data: {value}, {facts.missing:.1%} of the samples; they take the mean of their "
            "band, and pixels without any data are not labelled"
        )
    return tuple(notes)


@dataclass(frozen=True)
class _Sampled:
    """Pixels of one file, (P, S), and what it says of them."""

    values: np.ndarray
    stored: StoredSamples


def _measure(
    paths: Sequence[Path], description: Description, *, alpha_is_band: bool
) -> BandFacts | None:
    """Return the ranges and means of the bands in some images."""
    count = max(_FEWEST_VALUES, _MAX_VALUES // max(1, len(paths)))
    sampled = [found for found in (_sample(path, count) for path in paths) if found is not None]
    if not sampled:
        return None  # unreadable files are a problem of their own
    first = sampled[0].stored
    width = first.samples.shape[2]
    alike = [one for one in sampled if one.values.shape[1] == width]
    in_file = width - (first.has_alpha and not alpha_is_band)
    numbers = description.bands or tuple(range(1, in_file + 1))
    if max(numbers) > in_file:
        raise SpecError(
            FILE_NAME,
            [f"bands: {max(numbers)} is not one of the {counted(in_file, 'band')} of the images"],
        )
    named = [one.stored.no_data for one in alike if one.stored.no_data is not None]
    no_data = description.no_data if description.no_data is not None else next(iter(named), None)
    dtype = np.result_type(*(one.values.dtype for one in alike)).newbyteorder("=")
    columns = [_valid(alike, number - 1, no_data) for number in numbers]
    names = _names(numbers, first.names, description.band_names)
    rows = [
        _scale_of(values, number, name, is_byte=dtype == np.uint8)
        for values, number, name in zip(columns, numbers, names, strict=True)
    ]
    total = len(numbers) * sum(len(one.values) for one in alike)
    return BandFacts(
        preprocessing=Preprocessing(
            mean=tuple(row.mean for row in rows),
            std=tuple(row.std for row in rows),
            bands=Bands(
                in_file=in_file,
                dtype=str(dtype),
                no_data=no_data if no_data is not None and np.isfinite(no_data) else None,
                channels=tuple(row.band for row in rows),
            ),
        ),
        ranges=tuple(row.extremes for row in rows),
        missing=1 - sum(len(values) for values in columns) / max(1, total),
    )


def _sample(path: Path, count: int) -> _Sampled | None:
    try:
        _, stored = read_samples(path, max_pixels=None)
    except (ImageError, OSError):
        return None
    flat = stored.samples.reshape(-1, stored.samples.shape[2])
    step = max(1, len(flat) // count)
    # One pixel stays in the record: it tells the number of bands, and the image is let go.
    return _Sampled(flat[::step].copy(), replace(stored, samples=flat[None, :1].copy()))


def _valid(sampled: Sequence[_Sampled], band: int, no_data: float | None) -> np.ndarray:
    """Return the finite values of a band that are not missing, float64."""
    parts = []
    for one in sampled:
        values = one.values[:, band]
        own = one.stored.no_data
        gaps = missing(values, no_data if own is None else own)
        kept = values if gaps is None else values[~gaps]
        parts.append(kept.astype(np.float64))
    joined = np.concatenate(parts)
    return joined[np.isfinite(joined)]


@dataclass(frozen=True)
class _Scale:
    """The scale of one band: with mean and deviation of the scaled values, and the extremes."""

    band: Band
    mean: float
    std: float
    extremes: tuple[float, float]


def _scale_of(values: np.ndarray, number: int, name: str, *, is_byte: bool) -> _Scale:
    if values.size == 0:
        values = np.zeros(1)
    extremes = float(values.min()), float(values.max())
    low, high = (0.0, 255.0) if is_byte else (float(v) for v in np.percentile(values, _PERCENTILES))
    if high <= low:
        low, high = extremes if extremes[1] > extremes[0] else (low, low + 1)
    scaled = np.clip((values - low) / (high - low), 0, 1)
    mean = round(float(scaled.mean()), 6)
    band = Band(number=number, name=name, low=low, high=high, fill=round(255 * mean))
    return _Scale(band, mean, max(_LEAST_STD, round(float(scaled.std()), 6)), extremes)


def _names(
    numbers: Sequence[int], of_file: dict[int, str], given: Sequence[str]
) -> tuple[str, ...]:
    if given:
        return tuple(given)
    return tuple((of_file.get(number - 1) or f"band {number}")[:100] for number in numbers)


def _alpha_is_band(paths: Sequence[Path]) -> bool:
    """Tell whether what is flagged as alpha holds data in most of the images that have it."""
    step = max(1, len(paths) // _ALPHA_IMAGES)
    found = []
    for path in paths[::step]:
        try:
            found.append(decode_image(path, max_pixels=None).info.alpha == "band")
        except (ImageError, OSError):
            continue
    return 2 * sum(found) > len(found)
