"""The order of the tests: none depends on it, but those with a browser run last."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
import torch

from tests.conftest import put_browser_last


class FakeItem:
    """A collected test that has a marker, or none."""

    def __init__(self, name: str, marker: str | None = None) -> None:
        self.name = name
        self.marker = marker

    def get_closest_marker(self, name: str) -> str | None:
        """Return the marker of this name."""
        return self.marker if self.marker == name else None


@pytest.mark.parametrize("seed", range(5))
def test_the_browser_comes_last_in_any_order_and_the_others_keep_theirs(seed):
    items = [FakeItem(f"page {number}", "browser") for number in range(5)]
    items += [FakeItem(f"slow {number}", "slow") for number in range(5)]
    items += [FakeItem(f"plain {number}") for number in range(5)]
    random.Random(seed).shuffle(items)
    before = list(items)
    put_browser_last(items)
    assert [item.marker == "browser" for item in items] == [False] * 10 + [True] * 5
    assert items[:10] == [item for item in before if item.marker != "browser"]
    assert items[10:] == [item for item in before if item.marker == "browser"]


def test_no_test_of_this_run_follows_one_with_a_browser(request):
    marked = [item.get_closest_marker("browser") is not None for item in request.session.items]
    assert marked == sorted(marked)


def test_a_file_has_tests_with_a_browser_or_others_as_files_are_dealt_out_whole(request):
    kinds: dict[str, set[bool]] = {}
    for item in request.session.items:
        is_marked = item.get_closest_marker("browser") is not None
        kinds.setdefault(item.nodeid.partition("::")[0], set()).add(is_marked)
    assert [file for file, marked in kinds.items() if len(marked) > 1] == []


@pytest.fixture(name="drawn")
def drawn_fixture() -> list[float]:
    """Three numbers by chance."""
    return draw()


def draw() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(()))]


@pytest.mark.parametrize("time", [1, 2])
def test_each_test_and_its_fixtures_draw_the_same_numbers(drawn, time):
    again = draw()
    assert drawn == again == pytest.approx([0.844421851, 0.548813503, 0.496256589])
    assert draw() != again


def test_no_event_loop_is_running_between_the_tests():
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
