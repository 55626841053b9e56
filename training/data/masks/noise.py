"""Noise codes around a few real ones: compression, or edges smoothed by a resize.

Classes fill areas; noise makes lines and single pixels, and lies around every class. By counts
alone, forty classes with 255 for void would look like noise too.

Codes are points: a value is one number, a colour three. Distances are Euclidean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from maskzoo.training.data.masks.census import Census
from maskzoo.training.data.records.codes import unpack_colour
from maskzoo.training.data.records.encoding import MAX_CLASSES
from maskzoo.training.data.records.rawmask import CodeKind

_REACH: dict[CodeKind, float] = {"values": 16.0, "colours": 44.0}


def find_peaks(census: Census) -> list[int] | None:
    """Return the few codes that the others are noise around, or None if there is no noise."""
    if census.kind == "colours" and (solid := _solid_colours(census)) is not None:
        return solid
    few = census.kind == "colours" and len(census.pixels) <= 64
    deep = census.kind == "values" and max(census.pixels) > 255
    if few or deep:
        return None
    peaks: list[int] = []
    held: Counter[int] = Counter()
    for code, count in census.pixels.most_common():
        near = min(peaks, key=lambda peak: _distance(peak, code, census.kind), default=None)
        if near is None or _distance(near, code, census.kind) > _REACH[census.kind]:
            peaks.append(code)
            near = code
        held[near] += count
        if len(peaks) > 4 * MAX_CLASSES:
            return None
    total = sum(census.pixels.values())
    strong = [peak for peak in peaks if held[peak] >= 0.002 * total]
    if not 2 <= len(strong) <= 64 or sum(held[peak] for peak in strong) < 0.95 * total:
        return None
    strong = _without_blends(strong, held, census)
    return sorted(strong) if _is_noise_around(strong, census) else None


def _is_noise_around(peaks: Sequence[int], census: Census) -> bool:
    """Tell whether all other codes are thin, and none of the peaks is free of them."""
    others = set(census.pixels).difference(peaks)
    if len(others) < len(peaks) or census.fills_areas(others):
        return False
    nearest = {min(peaks, key=lambda peak: _distance(peak, code, census.kind)) for code in others}
    return census.kind == "colours" or nearest == set(peaks)


def _solid_colours(census: Census) -> list[int] | None:
    """Return the colours that the others are blends of, or None if that is not what they are.

    It finds the few blends that a mask of straight edges gets when it is scaled.
    """
    solid = [code for code in census.pixels if census.fraction(code) >= 0.005]
    solid = _without_blends(solid, census.pixels, census)
    thin = {code: count for code, count in census.pixels.items() if code not in solid}
    if not 2 <= len(solid) <= 64 or len(thin) < 3 * len(solid) or census.fills_areas(thin):
        return None
    mass = sum(thin.values())
    if mass > 0.15 * sum(census.pixels.values()):
        return None
    blends = sum(count for code, count in thin.items() if _is_blend(code, solid))
    return sorted(solid) if blends >= 0.95 * mass else None


def _is_blend(code: int, solid: Sequence[int]) -> bool:
    return any(
        _distance(a, code, "colours") + _distance(code, b, "colours")
        < 1.02 * _distance(a, b, "colours")
        for place, a in enumerate(solid)
        for b in solid[place + 1 :]
    )


def _point(code: int, kind: CodeKind) -> tuple[int, ...]:
    return (code,) if kind == "values" else unpack_colour(code)


def _distance(first: int, second: int, kind: CodeKind) -> float:
    ours, theirs = _point(first, kind), _point(second, kind)
    return float(sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)) ** 0.5)


def _without_blends(peaks: Sequence[int], held: Mapping[int, int], census: Census) -> list[int]:
    """Drop thin or weak peaks that lie between two strong ones: anti-aliased edges."""

    def is_blend(peak: int) -> bool:
        thin = not census.fills_areas([peak])
        strong = [
            other
            for other in peaks
            if held[other] > 20 * held[peak]
            or (thin and (census.fills_areas([other]) or held[other] > 2 * held[peak]))
        ]
        return any(
            _distance(a, peak, census.kind) + _distance(peak, b, census.kind)
            < 1.05 * _distance(a, b, census.kind)
            for place, a in enumerate(strong)
            for b in strong[place + 1 :]
        )

    return [peak for peak in peaks if not is_blend(peak)]
