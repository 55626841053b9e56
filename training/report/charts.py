"""Charts as SVG: text within the page, sharp at any size, in the page's own colours.

The `aria-label` of a chart says what it shows. Colours are CSS variables of the page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from maskzoo.training.scoring.calibration import CalibrationBin

_WIDTH, _HEIGHT = 400, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 10, 12, 34
_MOST_SIGNS = 7  # of a number beside the axis
_MOST_POINTS = 500
_NUM_BARS = 10


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Args:
        points: (x, y), sorted by x.
        colour: a CSS colour.
        is_faint: whether it is thin and pale, behind the others.
        has_dots: whether each point is marked by a dot.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str = "var(--accent)"
    is_faint: bool = False
    has_dots: bool = False


def line_chart(
    lines: Sequence[Line],
    *,
    label: str,
    x_label: str = "step",
    x_range: tuple[float, float] | None = None,
    from_zero: bool = False,
) -> str:
    """Return an SVG of lines over a common x axis, or "" without any point.

    Args:
        label: what the chart shows.
        x_range: ends of the x axis, for charts side by side that must agree.
        from_zero: whether the y axis begins at 0.
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return ""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low_x, high_x = x_range or (min(xs), max(max(xs), min(xs) + 1))
    is_whole = all(float(x).is_integer() for x in xs)
    ticks = nice_ticks(0.0 if from_zero else min(ys), max(ys))
    low_y, high_y = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + (x - low_x) / (high_x - low_x) * (_WIDTH - _LEFT - _RIGHT)
        up = (y - low_y) / (high_y - low_y) * (_HEIGHT - _TOP - _BOTTOM)
        return across, _HEIGHT - _BOTTOM - up  # y grows downwards in SVG

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(label)}" '
        'class="chart" xmlns="http://www.w3.org/2000/svg">'
    ]
    for tick in ticks:
        _, y = place(low_x, tick)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}</text>'
        )
    for tick in nice_ticks(low_x, high_x):
        if low_x <= tick <= high_x and (not is_whole or abs(tick - round(tick)) < 1e-9):
            x, _ = place(tick, low_y)
            parts.append(
                f'<text x="{x:.1f}" y="{_HEIGHT - 18}" text-anchor="middle">{tick:g}</text>'
            )
    end = _WIDTH - _RIGHT
    parts.append(f'<text x="{end}" y="{_HEIGHT - 3}" text-anchor="end">{x_label}</text>')
    for line in sorted(lines, key=lambda line: not line.is_faint):
        parts.append(_draw(line, [place(x, y) for x, y in thin_out(line.points)]))
    return "".join([*parts, "</svg>"])


def _short(tick: float) -> str:
    """Return a number that fits beside the axis: `2.5e-5`, not `2.5e-05`."""
    text = f"{tick:.4g}"
    if len(text) > _MOST_SIGNS:
        text = f"{tick:.3e}"
        digits, power = text.split("e")
        text = f"{float(digits):g}e{int(power)}"
    return text


def _draw(line: Line, places: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    kind = "faint" if line.is_faint else "line"
    drawn = (
        f'<polyline points="{path}" class="{kind}" style="stroke:{line.colour}">'
        f"<title>{escape(line.name)}</title></polyline>"
    )
    if line.has_dots:
        drawn += "".join(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" style="fill:{line.colour}">'
            f"<title>{escape(line.name)}: {value:.4g} at {step:g}</title></circle>"
            for (x, y), (step, value) in zip(places, thin_out(line.points), strict=True)
        )
    return drawn


def reliability_chart(bins: Sequence[CalibrationBin], *, label: str) -> str:
    """Return an SVG of accuracy by confidence; a calibrated network follows the diagonal.

    Args:
        bins: lowest confidence first.
        label: what the chart shows.
    """
    size = _HEIGHT - _TOP - _BOTTOM
    parts = [
        f'<svg viewBox="0 0 {size + _LEFT + _RIGHT} {_HEIGHT}" role="img" class="chart small" '
        f'aria-label="{escape(label)}" xmlns="http://www.w3.org/2000/svg">'
    ]
    most = max((bin_.pixels for bin_ in bins), default=0) or 1
    step = size / max(1, len(bins))
    for number, bin_ in enumerate(bins):
        if bin_.accuracy is None or bin_.confidence is None:  # without pixels
            continue
        height = bin_.accuracy * size
        # the root, as most pixels are in the last bin: the others would be invisible beside it
        opacity = 0.25 + 0.75 * math.sqrt(bin_.pixels / most)
        parts.append(
            f'<rect x="{_LEFT + number * step:.1f}" y="{_TOP + size - height:.1f}" '
            f'width="{step - 1:.1f}" height="{height:.1f}" class="bar" opacity="{opacity:.2f}">'
            f"<title>confidence {bin_.confidence:.3f}, accuracy {bin_.accuracy:.3f}, "
            f"{bin_.pixels:,} pixels</title></rect>"
        )
    parts.append(
        f'<line x1="{_LEFT}" y1="{_TOP + size}" x2="{_LEFT + size}" y2="{_TOP}" class="diagonal"/>'
    )
    for fraction in (0, 0.5, 1):
        y = _TOP + size - fraction * size
        parts.append(
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{fraction:g}</text>'
            f'<text x="{_LEFT + fraction * size:.1f}" y="{_HEIGHT - 12}" text-anchor="middle">'
            f"{fraction:g}</text>"
        )
    return "".join([*parts, "</svg>"])


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram.

    Args:
        low: the lower end of its range.
        count: how many values are in it.
        height: its height as a fraction of the highest bar's.
    """

    low: float
    count: int
    height: float


def bin_scores(scores: Sequence[float]) -> list[Bar]:
    """Count scores of 0..1 in ten bars of equal width."""
    counts, edges = np.histogram(scores, bins=_NUM_BARS, range=(0, 1))
    most = max(1, int(counts.max(initial=0)))
    return [
        Bar(float(low), int(count), int(count) / most)
        for low, count in zip(edges[:-1], counts, strict=True)
    ]


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers that enclose `low` to `high`."""
    if high <= low:  # downwards, as a score may be 1
        low, high = (high - abs(high) * 0.1, high) if high else (0.0, 1.0)
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))  # the step is 1, 2, 2.5 or 5 times a power of ten
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [index * step for index in range(first, last + 1)]


def thin_out(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return at most `_MOST_POINTS` of the points and the last one, evenly spaced."""
    step = max(1, math.ceil(len(points) / _MOST_POINTS))
    return [*points[:-1:step], points[-1]] if points else []


def smooth(points: Sequence[tuple[float, float]], weight: float) -> list[tuple[float, float]]:
    """Return the running mean of the y values; each step keeps `weight` of the mean so far."""
    smoothed: list[tuple[float, float]] = []
    mean = 0.0
    for number, (x, y) in enumerate(points, start=1):
        mean = weight * mean + (1 - weight) * y
        # bias-corrected as in Adam: the mean starts at 0, which would draw the first points too low
        smoothed.append((x, mean / (1 - weight**number)))
    return smoothed
