"""Which graphs are captured, kept and dropped."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from maskzoo.models.engines.graphs.cache import Bucket, GraphCache


@dataclass(frozen=True)
class Held:
    """A graph of some bytes."""

    bucket: Bucket
    num_bytes: int


def bucket(side: int, batch: int = 1) -> Bucket:
    return Bucket("masks", batch, side, side)


def captured(cache: GraphCache[Held], *sides: int) -> list[bool]:
    """Ask for each size in turn and tell whether there is a graph for it."""
    return [cache.find(bucket(side)) is not None for side in sides]


def test_a_bucket_runs_eagerly_once_and_is_captured_when_it_comes_again() -> None:
    cache = GraphCache(lambda one: Held(one, 10), max_bytes=100)
    assert captured(cache, 64, 32, 64, 64, 96) == [False, False, True, True, False]
    assert cache.buckets == [bucket(64)]


def test_the_least_recently_used_graphs_go_until_the_bytes_fit() -> None:
    dropped_after: list[int] = []
    cache = GraphCache(
        lambda one: Held(one, one.height),
        max_bytes=100,
        before_drop=lambda: dropped_after.append(cache.num_bytes),
    )
    for side in (30, 40, 20):
        cache.prepare(bucket(side))
    assert captured(cache, 30) == [True]  # now 40 is the oldest
    cache.prepare(bucket(50))  # 30 + 40 + 20 + 50 is too much, 30 + 20 + 50 is not
    assert cache.buckets == [bucket(20), bucket(30), bucket(50)]
    assert cache.num_bytes == 100
    assert dropped_after == [90]


def test_a_graph_that_is_larger_than_the_limit_is_captured_once_and_evicts_nothing() -> None:
    asked: list[Bucket] = []

    def capture(one: Bucket) -> Held:
        asked.append(one)
        return Held(one, one.height)

    cache = GraphCache(capture, max_bytes=50)
    cache.prepare(bucket(40))
    assert captured(cache, 60, 60, 60, 60) == [False] * 4
    assert asked == [bucket(40), bucket(60)]
    assert cache.buckets == [bucket(40)]


def test_a_network_that_cannot_be_captured_says_why_and_is_not_tried_again() -> None:
    asked: list[Bucket] = []

    def capture(one: Bucket) -> Held:
        asked.append(one)
        raise RuntimeError("operation not permitted when stream is capturing\nmore lines")

    cache: GraphCache[Held] = GraphCache(capture, max_bytes=50)
    assert captured(cache, 64, 64, 32, 32) == [False] * 4
    assert asked == [bucket(64)]
    assert cache.failure == (
        "the network cannot be captured: operation not permitted when stream is capturing"
    )


def test_a_capture_without_memory_concerns_its_bucket_alone() -> None:
    def capture(one: Bucket) -> Held:
        if one.height > 100:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return Held(one, 10)

    cache = GraphCache(capture, max_bytes=50)
    assert captured(cache, 512, 512, 64, 64) == [False, False, False, True]
    assert cache.failure is None


def test_clearing_forgets_graphs_and_what_was_seen() -> None:
    cache = GraphCache(lambda one: Held(one, 10), max_bytes=100)
    cache.at_once = True
    assert captured(cache, 64) == [True]
    cache.at_once = False
    cache.clear()
    assert captured(cache, 64) == [False]
    assert cache.num_bytes == 0


@pytest.mark.parametrize(
    ("batch", "rounded"), [(1, 1), (2, 2), (3, 3), (5, 6), (7, 8), (33, 48), (64, 64), (65, 65)]
)
def test_batches_share_graphs_of_the_next_size(batch: int, rounded: int) -> None:
    assert bucket(64, batch).rounded() == bucket(64, rounded)


def test_at_most_a_third_of_a_graph_runs_in_vain() -> None:
    waste = [1 - batch / bucket(64, batch).rounded().batch for batch in range(1, 65)]
    assert max(waste) < 1 / 3


def test_a_graph_of_just_the_limit_is_kept_and_nothing_beside_it() -> None:
    cache = GraphCache(lambda one: Held(one, one.height), max_bytes=50)
    assert cache.prepare(bucket(50)) == Held(bucket(50), 50)
    assert cache.prepare(bucket(51)) is None
    assert cache.buckets == [bucket(50)]


def test_clearing_waits_for_the_device_and_forgets_what_was_seen_once() -> None:
    waited: list[list[Bucket]] = []
    cache = GraphCache(
        lambda one: Held(one, 10), max_bytes=100, before_drop=lambda: waited.append(cache.buckets)
    )
    cache.clear()
    assert waited == [], "nothing is dropped"
    cache.prepare(bucket(64))
    assert captured(cache, 32) == [False]
    cache.clear()
    assert waited == [[bucket(64)]]
    assert captured(cache, 32, 32) == [False, True]


def test_of_buckets_that_were_seen_once_the_latest_1024_are_remembered() -> None:
    cache = GraphCache(lambda one: Held(one, 1), max_bytes=100)
    assert captured(cache, *range(1, 1026)) == [False] * 1025
    assert captured(cache, 1025, 2, 1) == [True, True, False]


def test_another_program_is_captured_though_the_one_before_could_not_be() -> None:
    faults: list[Exception] = [RuntimeError("operation not permitted when stream is capturing")]

    def capture(one: Bucket) -> Held:
        if faults:
            raise faults[0]
        return Held(one, one.height)

    cache: GraphCache[Held] = GraphCache(capture, max_bytes=50)
    assert cache.prepare(bucket(40)) is None
    faults.clear()
    assert cache.prepare(bucket(40)) is None, "this program cannot be captured"
    cache.begin_anew()
    assert cache.prepare(bucket(40)) is not None
    assert cache.prepare(bucket(60)) is None
    cache.max_bytes = 100
    assert cache.prepare(bucket(60)) is None, "it was too large"
    cache.begin_anew()
    assert cache.prepare(bucket(60)) is not None
