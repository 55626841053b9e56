"""Noise codes around a few real ones: compression, or edges smoothed by a resize.

Classes fill areas. Noise makes lines and single pixels, and lies around every class. Counts of
codes alone would not do: forty classes with 255 for void would look like noise too.

Codes are points: a value is one number, a colour three. Distances are Euclidean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

from maskzoo.models.errors import DataError
from maskzoo.models.labels import LabelSet, distinct_colours
from maskzoo.training.data.masks.census import Census
from maskzoo.training.data.records.codes import format_code, unpack_colour
from maskzoo.training.data.records.encoding import MAX_CLASSES, MaskEncoding
from maskzoo.training.data.records.interpretation import BINARY_NAMES, Interpretation
from maskzoo.training.data.records.numbers import format_percent
from maskzoo.training.data.records.rawmask import CodeKind

_REACH: dict[CodeKind, float] = {"values": 16.0, "colours": 44.0}  # of JPEG noise around a code
_MOST_CLASSES = 64  # of a noisy data set; more peaks are not told from noise
_FEW_COLOURS = 64  # so many different colours are looked at as classes
_MOST_PEAKS = 4 * MAX_CLASSES  # beyond, the search ends
_WEAKEST_PEAK = 0.002  # fraction of the pixels that a peak gathers at least
_WEAKEST_SOLID = 0.005  # the same for a colour by itself
_NO_AREA = 0.005  # filled blocks for each pixel, below which a colour fills no areas at all
_LEAST_EXACT = 0.4  # fraction of the pixels without noise; less is a photo, or a soft mask
_EXPLAINED = 0.95  # fraction of the pixels, or of the thin ones, that the peaks must explain
_MOST_BLENDED = 0.15  # fraction of the pixels that edges may take


def find_peaks(census: Census) -> list[int] | None:
    """Return the few codes that the others are noise around, or None if there is no noise."""
    if census.kind == "colours":
        blended = _blended_colours(census)
        if blended is not None or len(census.pixels) <= _FEW_COLOURS:
            return blended
    elif max(census.pixels) > 255:  # 16 bits are not stored with loss
        return None
    if census.num_lossy == census.num_files and (ids := _ids_of_jpegs(census)) is not None:
        return ids
    held = _gather(census)
    if held is None:
        return None
    total = sum(census.pixels.values())
    strong = [peak for peak in held if held[peak] >= _WEAKEST_PEAK * total]
    explained = sum(held[peak] for peak in strong)
    if not 2 <= len(strong) <= _MOST_CLASSES or explained < _EXPLAINED * total:
        return None
    strong = _without_blends(strong, held, census)
    if sum(census.pixels[peak] for peak in strong) < _LEAST_EXACT * total:
        return None
    if census.num_lossy < census.num_files and _fraction_between(strong, census) > _MOST_BLENDED:
        return None
    return sorted(strong) if _is_noise_around(strong, census) else None


def interpret_noise(census: Census, peaks: Sequence[int]) -> Interpretation:
    """Return the encoding in which each code takes the class of the closest of `peaks`."""
    _refuse_noisy_peaks(census, peaks)
    exact = sum(census.pixels[peak] for peak in peaks)
    fraction = 1 - exact / sum(census.pixels.values())
    kind = census.kind
    listed = ", ".join(format_code(peak, kind) for peak in peaks)
    note = (
        f"{len(census.pixels)} different {kind} lie around {listed}: compression noise or "
        f"anti-aliased edges ({format_percent(fraction)} of the pixels); each takes the closest "
        "class"
    )
    if census.num_lossy:
        note += f"; {census.num_lossy} masks are JPEGs, which blur values near edges: PNG does not"
    is_binary = kind == "values" and len(peaks) == 2 and peaks[0] < 16 and peaks[1] > 239
    names: tuple[str, ...]
    if is_binary:
        peaks, names = [0, 255], BINARY_NAMES
    elif kind == "values":
        names = tuple(f"value_{peak}" for peak in peaks)
    else:
        names = tuple(f"colour_{peak:06X}" for peak in peaks)
    if kind == "colours":
        colours = tuple(unpack_colour(peak) for peak in peaks)
    else:
        colours = distinct_colours(len(peaks))
    labels = LabelSet(names=names, colours=colours, background=0 if is_binary else None)
    table = tuple((peak, index) for index, peak in enumerate(peaks))
    encoding = MaskEncoding(kind, table, nearest=True)
    return Interpretation(encoding, labels, f"{census.storage} with noise", (note,))


def _refuse_noisy_peaks(census: Census, peaks: Sequence[int]) -> None:
    """Raise `DataError` where colours that fill no areas may be noise as well as classes."""
    noisy = [p for p in peaks if census.solid[p] < _NO_AREA * census.pixels[p]]
    if census.kind != "colours" or len(peaks) == 2 or not noisy:
        return
    shown = ", ".join(f'"{format_code(peak, "colours")}"' for peak in noisy)
    raise DataError(
        f"the masks hold {len(census.pixels)} colours, around {len(peaks)} that are frequent; "
        f"{shown} of these fill no areas, so they may be classes, or what compression made of "
        "others. List the classes in dataset.yaml: `encoding: colours`, `nearest: true` and "
        '`classes` such as `{name: car, values: ["#FF0000"]}`, or export the masks as PNG'
    )


def _ids_of_jpegs(census: Census) -> list[int] | None:
    """Return the low ids of JPEG masks without the values that compression made beside them."""
    strong = [code for code in sorted(census.pixels) if census.fraction(code) >= _WEAKEST_SOLID]
    others = set(census.pixels).difference(strong)
    if not others or len(strong) < 2 or max(census.pixels) > 2 * len(census.pixels):
        return None
    return None if census.fills_areas(others) else strong


def _gather(census: Census) -> Counter[int] | None:
    """Return the pixels around each peak, in the order of the peaks; None if there are too many.

    A code out of reach of all more frequent ones is a peak; the others belong to the closest one.
    """
    held: Counter[int] = Counter()
    for code, count in census.pixels.most_common():
        near = min(held, key=lambda peak: _distance(peak, code, census.kind), default=None)
        if near is None or _distance(near, code, census.kind) > _REACH[census.kind]:
            near = code
        held[near] += count
        if len(held) > _MOST_PEAKS:
            return None
    return held


def _fraction_between(peaks: Sequence[int], census: Census) -> float:
    """Return the fraction of the pixels that are too far from all peaks to be noise of one."""
    return sum(
        census.fraction(code)
        for code in census.pixels
        if min(_distance(peak, code, census.kind) for peak in peaks) > _REACH[census.kind]
    )


def _is_noise_around(peaks: Sequence[int], census: Census) -> bool:
    """Tell whether all other codes are thin, and none of the peaks is free of them.

    A value without noise speaks against compression, which spares none. Colours may be: where a
    class touches no other one, resizing leaves its colour alone.
    """
    others = set(census.pixels).difference(peaks)
    if len(others) < len(peaks) or census.fills_areas(others):
        return False
    nearest = {min(peaks, key=lambda peak: _distance(peak, code, census.kind)) for code in others}
    return census.kind == "colours" or nearest == set(peaks)


def _blended_colours(census: Census) -> list[int] | None:
    """Return the colours that the others are blends of, or None if that is not what they are.

    It finds the few blends that a mask of straight edges gets when it is scaled.
    """
    solid = [code for code in census.pixels if census.fraction(code) >= _WEAKEST_SOLID]
    solid = _without_blends(solid, census.pixels, census)
    thin = {code: count for code, count in census.pixels.items() if code not in solid}
    if not 2 <= len(solid) <= _MOST_CLASSES or len(thin) < 3 * len(solid):
        return None
    thin_pixels = sum(thin.values())
    if thin_pixels > _MOST_BLENDED * sum(census.pixels.values()) or census.fills_areas(thin):
        return None
    blended = sum(
        count for code, count in thin.items() if _is_between(code, solid, "colours", slack=1.02)
    )
    return sorted(solid) if blended >= _EXPLAINED * thin_pixels else None


def _without_blends(peaks: Sequence[int], held: Mapping[int, int], census: Census) -> list[int]:
    """Drop thin or weak peaks that lie between two strong ones: anti-aliased edges."""

    def is_blend(peak: int) -> bool:
        is_thin = not census.fills_areas([peak])
        strong = [
            other
            for other in peaks
            if held[other] > 20 * held[peak]
            or (is_thin and (census.fills_areas([other]) or held[other] > 2 * held[peak]))
        ]
        # JPEGs of halved colours mix them off the straight line.
        is_mixed = is_thin and census.kind == "colours"
        return _is_between(peak, strong, census.kind, slack=1.15 if is_mixed else 1.05)

    return [peak for peak in peaks if not is_blend(peak)]


def _is_between(code: int, ends: Sequence[int], kind: CodeKind, *, slack: float) -> bool:
    """Tell whether a code lies on the line between two of `ends`, but for a little slack."""
    return any(
        _distance(first, code, kind) + _distance(code, second, kind)
        < slack * _distance(first, second, kind)
        for first, second in combinations(ends, 2)
    )


def _point(code: int, kind: CodeKind) -> tuple[int, ...]:
    return (code,) if kind == "values" else unpack_colour(code)


def _distance(first: int, second: int, kind: CodeKind) -> float:
    ours, theirs = _point(first, kind), _point(second, kind)
    return float(sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)) ** 0.5)
