"""The capacity model: its fit and its arithmetic, against numbers worked out by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PEERS = """
<!-- net -->
**small, 256 x 256**

| server | images/s |
| maskzoo | 100.00 (least to most) | 1x |
| maskzoo int8 | 200.00 (least to most) | 1x |

**mixed**

| maskzoo | 7.00 (least to most) | 1x |
<!-- end net -->
"""
ENGINES = """
<!-- engines -->
| bundle | size | torch, ms | openvino, ms |
|---|--:|--:|--:|
| cells | 1000² | 30 | 20 |
| roofs | 1000² | 3 | 2 |
| bundle | engine |
| cells | torch |
<!-- end engines -->
"""


@pytest.fixture(scope="module")
def capacity():
    spec = importlib.util.spec_from_file_location("capacity", ROOT / "benchmarks" / "capacity.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up their types
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_line_is_found_again(capacity) -> None:
    line = capacity.fit([0.1, 1.0, 4.0], [0.005 + 0.1 * size for size in (0.1, 1.0, 4.0)])
    assert line.fixed_s == pytest.approx(0.005)
    assert line.megapixel_s == pytest.approx(0.1)
    assert line.seconds(2.0) == pytest.approx(0.205)


def test_a_small_image_counts_as_much_as_a_large_one(capacity) -> None:
    # by hand: the least sum of (c / t - 1) squared over t = 1 and 3 is at sum(1/t) / sum(1/t^2)
    line = capacity.fit([0.0, 0.0], [1.0, 3.0])
    assert line.fixed_s == pytest.approx((1 + 1 / 3) / (1 + 1 / 9))


def test_the_tables_of_other_pages_are_read(capacity) -> None:
    assert capacity.rates(PEERS, "net", "maskzoo") == {"256 x 256": 100.0}
    assert capacity.rates(PEERS, "net", "maskzoo int8") == {"256 x 256": 200.0}
    assert capacity.network_times(ENGINES, "cells", "openvino") == ([1.0], [0.02])


def test_only_what_is_between_two_marks_is_replaced(capacity) -> None:
    page = "a\n<!-- x -->\n<!-- end x -->\nb\n<!-- y -->\n<!-- end y -->\n"
    once = capacity.put(page, "x", "one\n")
    assert once == page.replace("<!-- x -->\n", "<!-- x -->\none\n")
    assert capacity.put(once, "x", "") == page


def test_a_million_images_cost_their_hours(capacity) -> None:
    # 0.07 s at 70 % use are 0.1 s: 100 000 s, or 27.8 hours of 3.60 $
    assert capacity.dollars(0.07, 3.60) == "100.00"


def test_a_gpu_is_as_fast_as_it_was_measured(capacity) -> None:
    device = capacity.Device(network=1000, service=1)
    assert device.seconds(0.262144) == pytest.approx(0.001)
    assert device.seconds(2 * 0.262144) == pytest.approx(0.002)


def test_rows_of_the_table_of_machines(capacity) -> None:
    line, nothing = capacity.Line(0.0, 0.7 / 0.262144), capacity.Line(0.0, 0.0)
    row = capacity.machines_table(line, nothing).splitlines()[3]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    # 1 000 images/s of 0.7 s at 70 % use: 1 000 cores, or 63 machines of 16
    assert cells[:3] == ["1 000 of 512 x 512", "1 000", "63"]
    assert cells[3] == "2 and 0 cores"  # 1 000 / 1156 / 0.7 = 1.24


@pytest.mark.parametrize(
    ("value", "text"), [(0.123, "0.12"), (4.56, "4.6"), (45.6, "46"), (4567, "4 600"), (123, "120")]
)
def test_two_digits_are_written(capacity, value: float, text: str) -> None:
    assert capacity.number(value) == text


def test_the_page_has_all_tables(capacity) -> None:
    page = capacity.PAGE.read_text()
    for name in capacity.tables(capacity.Prices()):
        assert "| --- |" in capacity.section(page, name)
