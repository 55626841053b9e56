"""Which items run together: a table, without a network and without a clock."""

from __future__ import annotations

import weakref

import pytest

from maskzoo.service.scheduling.queueing import BatchQueue, Item, PixelLimits


def queue_of(*items: Item, max_batch_pixels: int = 100, max_batch_items: int = 4) -> BatchQueue:
    queue = BatchQueue(max_batch_pixels=max_batch_pixels, max_batch_items=max_batch_items)
    for item in items:
        queue.put(item)
    return queue


def item(name: str, pixels: int = 10, *, bucket: str = "a", **more: object) -> Item:
    return Item(bucket, pixels, name, entered=0.0, **more)


def take(queue: BatchQueue, now: float = 1.0) -> tuple[str, str]:
    batch, dropped = queue.take(now)
    return "".join(one.work for one in batch), "".join(one.work for one in dropped)


@pytest.mark.parametrize(
    ("items", "batches"),
    [
        ([], [""]),
        ([item("1"), item("2")], ["12"]),
        ([item("1"), item("2", bucket="b"), item("3")], ["13", "2"]),
        ([item(name) for name in "123456"], ["1234", "56"]),
        ([item("1", 60), item("2", 60), item("3", 40)], ["13", "2"]),
        ([item("1", 500), item("2", 10)], ["1", "2"]),
    ],
    ids=["empty", "together", "by-bucket", "by-count", "by-pixels", "too-large-runs-alone"],
)
def test_a_batch_is_the_first_item_and_who_may_come_along(items, batches):
    queue = queue_of(*items)
    assert [take(queue)[0] for _ in batches] == batches
    assert len(queue) == 0


def test_who_left_and_who_is_late_is_dropped_before_the_network_runs():
    queue = queue_of(
        item("gone", is_gone=lambda: True), item("late", deadline=1.0), item("ok", deadline=1.1)
    )
    assert take(queue, now=1.0) == ("ok", "gonelate")


def test_a_batch_that_ran_out_of_memory_is_halved_from_then_on_for_its_network_only():
    queue = queue_of(
        *(item(name, network="net") for name in "1234"),
        *(item(n, bucket="b", network="other") for n in "5678"),
    )
    queue.limits.ran_out("net", 40)
    assert [take(queue)[0] for _ in range(3)] == ["12", "34", "5678"]
    queue.limits.ran_out("net", 400)
    assert queue.limits.of("net") == 20, "what is known is not forgotten for something larger"
    queue.put(item("9", 30, network="net"))
    assert take(queue)[0] == "9", "one image is always tried"


def test_a_limit_that_was_learned_grows_again_when_batches_near_it_go_well():
    limits = PixelLimits(100)
    limits.ran_out("net", 80)
    for _ in range(64):
        limits.did_fit("net", 10)
    assert limits.of("net") == 40, "small batches say nothing about the limit"
    for _ in range(64):
        limits.did_fit("net", 30)
    assert limits.of("net") == 50
    for _ in range(64 * 4):
        limits.did_fit("net", 100)
    assert limits.of("net") == 100
    limits.did_fit("net", 10_000)
    assert limits.of("net") == 100


def test_what_is_learned_about_networks_that_are_gone_is_forgotten():
    limits = PixelLimits(100)
    for number in range(1000):
        limits.ran_out(number, 40)
    assert limits.of(0) == 100
    assert limits.of(999) == 20
    assert len(limits._limits) <= 256


@pytest.mark.parametrize(
    ("items", "now", "patience"),
    [
        ([], 0, 0),
        ([item("1")], 0, 3),
        ([item("1")], 2, 1),
        ([item("1")], 9, 0),
        ([item(name) for name in "1234"], 0, 0),
        ([item("1", 60)], 0, 0),
    ],
    ids=["empty", "young", "older", "old", "full-by-count", "no-room-for-another"],
)
def test_a_batch_waits_shortly_unless_it_is_full(items, now, patience):
    assert queue_of(*items).patience(now, wait_s=3) == patience


def test_pixels_that_wait_are_counted():
    assert queue_of(item("1", 30), item("2", 12)).pixels == 42


class Pace:
    """Answers a number, and notes what it is asked and told."""

    def __init__(self, limit: int) -> None:
        self.number, self.asked, self.told = limit, [], []

    def limit(self, key: object, *, within_s: float) -> int:
        self.asked.append((key, within_s))
        return self.number

    def observe(self, key: object, items: int, *, start: float, end: float) -> None:
        self.told.append((key, items, start, end))


def test_what_is_measured_bounds_a_batch_and_learns_from_it():
    queue, pace = queue_of(*(item(n, network="net", deadline=9.0) for n in "12345")), Pace(3)
    queue.pace = pace
    assert queue.patience(1.0, wait_s=5) == 0, "three wait, and no fourth would come along"
    batch, _ = queue.take(1.0)
    assert [one.work for one in batch] == ["1", "2", "3"]
    queue.did_run(batch, start=1.0, end=3.0)
    assert pace.told == [(("net", str, 10), 3, 1.0, 3.0)]
    assert pace.asked[-1] == (("net", str, 10), 8.0)
    pace.number = 99
    assert len(queue_of(*(item(n) for n in "12345")).take(1.0)[0]) == 4, "never above the most"


def test_the_pace_keeps_no_network_alive():
    queue, pace = queue_of(), Pace(3)
    queue.pace = pace
    predictor = type("Predictor", (), {})()
    seen = weakref.ref(predictor)
    queue.put(Item(("bucket", predictor), 10, None, entered=0.0, network="sha"))
    batch, _ = queue.take(0.0)
    queue.did_run(batch, start=0.0, end=1.0)
    del predictor, batch
    assert seen() is None
