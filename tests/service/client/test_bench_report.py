"""The reports of a load test: one line a round, all numbers as JSON, a plot."""

from __future__ import annotations

import json
from collections import Counter

from PIL import Image

from maskzoo.service.client.bench import LoadRound
from maskzoo.service.client.bench_report import HEADER, format_round, plot_rounds, write_rounds

CLOSED = LoadRound(
    "closed",
    load=2,
    seconds=4,
    latencies=[0.1, 0.2, 0.3, 0.4],
    pixels=8_000_000,
    statuses=Counter({200: 4, 503: 2}),
    batches={"1": 2, "2": 1},
)
NOTHING = LoadRound("open", load=3.5, seconds=1)


def test_a_round_is_one_line_below_its_header():
    line = format_round(CLOSED)
    assert line.split()[:7] == ["2", "clients", "1.00", "2.00", "250.0", "ms", "385.0"]
    assert line.endswith("2 x 503; batches 1:2 2:1")
    assert HEADER.index("errors") == line.index("2 x 503")


def test_a_round_without_an_answer_has_no_latencies():
    assert " ".join(format_round(NOTHING).split()[2:]) == "0.00 0.00 - - - no errors; batches -"


def test_all_numbers_are_written_with_what_was_measured(tmp_path):
    write_rounds([CLOSED], {"server": "http://x"}, tmp_path / "deep" / "bench.json")
    document = json.loads((tmp_path / "deep" / "bench.json").read_text())
    assert document == {"server": "http://x", "rounds": [CLOSED.to_json()]}


def test_a_plot_needs_no_answers(tmp_path):
    plot_rounds([CLOSED, NOTHING], tmp_path / "bench.png")
    with Image.open(tmp_path / "bench.png") as plot:
        assert plot.size == (1200, 480)
