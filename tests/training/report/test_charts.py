"""Charts: round ticks, every point where it belongs, text that cannot break the page."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maskzoo.training.report.charts import (
    Bar,
    Line,
    bin_scores,
    line_chart,
    nice_ticks,
    reliability_chart,
    smooth,
    thin_out,
)
from maskzoo.training.scoring.calibration import CalibrationBin


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_enclose_the_values_and_are_few(low: float, span: float) -> None:
    ticks = nice_ticks(low, low + span)
    slack = 1e-6 * (abs(low) + span)
    assert ticks[0] <= low + slack
    assert ticks[-1] >= low + span - slack
    assert 2 <= len(ticks) <= 8


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (3, 97, [0, 20, 40, 60, 80, 100])],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(ticks)


def test_a_single_value_has_ticks_too() -> None:
    assert len(nice_ticks(0.5, 0.5)) >= 2
    assert len(nice_ticks(0.0, 0.0)) >= 2


@pytest.mark.parametrize("score", [0.0, 0.3, 0.973, 0.9999, 1.0])
def test_the_axis_of_a_single_score_ends_within_0_and_1(score: float) -> None:
    ticks = nice_ticks(score, score)
    assert ticks[0] >= 0
    assert ticks[-1] <= 1 + 1e-9
    assert ticks[0] <= score + 1e-9
    assert ticks[-1] >= score - 1e-9


@pytest.mark.parametrize("peak", [1e-2, 1.25e-4, 3e-4, 2.5e-5, 6.25e-5, 1.2345e-6, 4e6])
def test_numbers_beside_the_axis_are_not_cut(peak: float) -> None:
    svg = line_chart([Line("rate", [(0, 0), (9, peak)])], label="rate", from_zero=True)
    beside = re.findall(r'<text x="(\d+)"[^>]*text-anchor="end">([^<]+)</text>', svg)
    for x, text in beside[:-1]:  # the last one is the name of the x axis
        assert len(text) * 6.7 <= int(x)  # digits of 11 px are 6.1 px wide, and some are wider


def test_points_lie_where_their_values_are() -> None:
    svg = line_chart([Line("a", [(0, 0), (50, 1), (100, 0.5)])], label="a by step")
    ET.fromstring(svg)
    points = re.search(r'points="([^"]+)"', svg)
    assert points is not None
    (x0, y0), (x1, y1), (x2, y2) = (
        tuple(map(float, pair.split(","))) for pair in points.group(1).split()
    )
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y1 < y2 < y0  # upwards is less in SVG
    assert y2 - y1 == pytest.approx((y0 - y1) / 2, abs=0.2)


def test_names_are_escaped() -> None:
    svg = line_chart([Line("<b>&", [(0, 0), (1, 1)])], label='"quoted" <i>')
    ET.fromstring(svg)
    assert "<b>" not in svg


def test_nothing_to_draw_is_no_chart() -> None:
    assert line_chart([Line("a", [])], label="a") == ""


def test_many_points_become_few_and_the_last_one_stays() -> None:
    points = [(float(x), 0.0) for x in range(10_001)]
    thinned = thin_out(points)
    assert len(thinned) <= 501
    assert (thinned[0], thinned[-1]) == (points[0], points[-1])


def test_smoothing_begins_at_the_first_value_and_follows() -> None:
    smoothed = smooth([(0, 4.0), (1, 2.0)], 0.5)
    assert smoothed[0] == (0, 4.0)
    assert smoothed[1] == (1, pytest.approx((0.25 * 4 + 0.5 * 2) / 0.75))


def test_bars_of_the_reliability_chart_are_as_high_as_the_accuracy() -> None:
    bins = [
        CalibrationBin(pixels=0, accuracy=None, confidence=None),
        CalibrationBin(pixels=10, accuracy=0.5, confidence=0.7),
        CalibrationBin(pixels=90, accuracy=1.0, confidence=0.9),
    ]
    svg = reliability_chart(bins, label="reliability")
    ET.fromstring(svg)
    heights = [float(value) for value in re.findall(r'<rect[^>]* height="([\d.]+)"', svg)]
    assert len(heights) == 2
    assert heights[0] == pytest.approx(heights[1] / 2, abs=0.1)


def test_charts_of_one_run_share_their_axis_and_steps_are_whole_numbers() -> None:
    svg = line_chart([Line("a", [(15, 0.3)], has_dots=True)], label="a", x_range=(0, 15))
    marks = re.findall(r'text-anchor="middle">([^<]+)<', svg)
    assert marks == ["0", "5", "10", "15"]
    assert 'cx="390.0"' in svg, "the only point stands at the end of the run"
    alone = line_chart([Line("a", [(15, 0.3)])], label="a")
    assert re.findall(r'text-anchor="middle">([^<]+)<', alone) == ["15", "16"]


def test_a_histogram_counts_scores_in_ten_ranges_and_the_last_one_holds_1() -> None:
    bars = bin_scores([0.05, 0.91, 0.95, 1.0])
    assert [bar.count for bar in bars] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert bars[0] == Bar(low=0.0, count=1, height=1 / 3)
    assert {bar.height for bar in bin_scores([])} == {0.0}
