"""The size of batches on simulated devices: numbers in, numbers out."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from maskzoo.models.engines.graphs.cache import Bucket
from maskzoo.service.scheduling.pace import SIZES, BatchPace

Seconds = Callable[[int], float]


def cpu(count: int) -> float:
    """Twice as many images take twice as long."""
    return 0.03 * count


def gpu(count: int) -> float:
    """A launch takes 3 ms, an image 0.1 ms more: 32 images/ms at the end, half of it at 30."""
    return 0.003 + 0.0001 * count


def with_knee(count: int) -> float:
    """Up to eight images in the time of one, then in proportion."""
    return 0.004 * max(1.0, count / 8)


def drive(
    pace: BatchPace,
    seconds: Seconds,
    batches: int = 4000,
    *,
    waiting: int = 999,
    noise: float = 0.0,
    seed: int = 0,
) -> list[int]:
    """Run full batches one after the other on a simulated device; return their sizes."""
    chance, now, sizes = random.Random(seed), 0.0, []
    for _ in range(batches):
        count = min(waiting, pace.limit("net"))
        took = seconds(count) * chance.lognormvariate(0, noise)
        pace.observe("net", count, start=now, end=now + took)
        now += took
        sizes.append(count)
    return sizes


def usual(sizes: list[int]) -> int:
    """Return the size of most of the last batches."""
    last = sizes[-1000:]
    return max(set(last), key=last.count)


def pace_of(most: int = 64, batch_s: float = 0.25) -> BatchPace:
    return BatchPace(most=most, batch_s=batch_s)


def test_on_a_cpu_an_image_does_not_wait_for_others() -> None:
    assert usual(drive(pace_of(), cpu)) == 1


def test_on_a_gpu_batches_grow_while_images_a_second_grow() -> None:
    size = usual(drive(pace_of(), gpu))
    assert size >= 48
    assert usual(drive(pace_of(most=16), gpu)) == 16


def test_the_knee_is_found_and_not_passed() -> None:
    assert usual(drive(pace_of(), with_knee)) == 8


@pytest.mark.parametrize(
    ("seconds", "low", "high"), [(cpu, 1, 2), (with_knee, 8, 12), (gpu, 32, 64)]
)
@pytest.mark.parametrize("seed", range(5))
def test_noise_neither_leads_it_astray_nor_to_and_fro(
    seconds: Seconds, low: int, high: int, seed: int
) -> None:
    sizes = drive(pace_of(), seconds, 8000, noise=0.1, seed=seed)
    assert low <= usual(sizes) <= high
    last = sizes[-4000:]
    changes = sum(one != next_ for one, next_ in itertools.pairwise(last))
    assert changes <= 24
    assert sum(low <= size <= high for size in last) >= 0.8 * len(last)


def test_trials_that_change_nothing_become_rare() -> None:
    sizes = drive(pace_of(), with_knee, 8000)
    tried = [number for number, size in enumerate(sizes) if size != 8]
    assert len([number for number in tried if number < 1000]) > 24
    assert len([number for number in tried if number >= 4000]) <= 3 * 2 * 24


def test_a_batch_stays_within_its_time_though_larger_ones_would_be_faster() -> None:
    slow_gpu = lambda count: 10 * gpu(count)  # noqa: E731
    sizes = drive(pace_of(batch_s=0.05), slow_gpu)
    assert slow_gpu(usual(sizes)) <= 0.05
    assert slow_gpu(SIZES[SIZES.index(usual(sizes)) + 1]) > 0.05


def test_a_device_that_became_slower_gets_smaller_batches_at_once() -> None:
    pace = pace_of()
    assert usual(drive(pace, gpu)) >= 48
    sizes = drive(pace, lambda count: 100 * gpu(count), 400)
    assert sizes[-1] == 1


def test_the_first_image_s_deadline_bounds_the_batch() -> None:
    pace = pace_of()
    drive(pace, gpu)
    assert pace.limit("net", within_s=1.0) >= 48
    few = pace.limit("net", within_s=0.004)
    assert 1 < few <= 12
    assert pace.limit("net", within_s=0.0) == 1


def test_a_size_that_never_fills_is_not_judged() -> None:
    sizes = drive(pace_of(), gpu, waiting=5)
    assert set(sizes) <= {2, 3, 4, 5}


def test_batches_that_overlap_share_the_devices_time() -> None:
    """Three on their way: each takes three times as long, and as many end in a second."""
    pace, now = pace_of(), 0.0
    starts = [0.0, 0.0, 0.0]
    sizes = [pace.limit("net")] * 3
    for step in range(4000):
        lane = step % 3
        now += gpu(sizes[lane])
        pace.observe("net", sizes[lane], start=starts[lane], end=now)
        starts[lane], sizes[lane] = now, pace.limit("net")
    assert min(sizes) >= 32


def test_a_size_is_not_judged_by_the_batches_that_prepare_for_it() -> None:
    """The first batch of each size runs without a graph, the second captures one."""
    pace, now, seen = pace_of(), 0.0, dict.fromkeys(SIZES, 0)
    for _ in range(2000):
        count = pace.limit("net")
        seen[count] += 1
        took = gpu(count) + (2.0 if seen[count] <= 2 else 0.0)
        pace.observe("net", count, start=now, end=now + took)
        now += took
    assert pace.limit("net") >= 32


def test_networks_and_sizes_do_not_learn_from_each_other_and_old_ones_are_forgotten() -> None:
    pace = pace_of()
    drive(pace, gpu)
    assert pace.limit("other") == 6
    for number in range(256):
        pace.limit(number)
    assert pace.limit("net") == 6


def test_every_size_has_a_graph_of_its_own() -> None:
    for size in SIZES:
        assert Bucket("masks", size, 8, 8).rounded().batch == size
    assert pace_of(most=1).limit("net") == 1


def test_a_batch_that_takes_just_the_time_that_is_left_is_run() -> None:
    pace = pace_of(batch_s=1.0)
    for _ in range(3):  # two are cold
        pace.observe("net", 6, start=0.0, end=0.5)
    assert pace.limit("net", within_s=0.5) == 6
    assert pace.limit("net", within_s=0.499) == 4


def test_256_networks_and_sizes_are_remembered() -> None:
    pace = pace_of()
    drive(pace, gpu)
    for number in range(255):
        pace.limit(number)
    assert pace.limit("net") >= 48
    for number in range(256):
        pace.limit(number)
    assert pace.limit("net") == 6


def test_a_size_is_tried_now_and_then_however_long_a_server_runs() -> None:
    sizes = drive(pace_of(), with_knee, 40_000)
    tried = [number for number, size in enumerate(sizes) if size != 8]
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert max(pauses) <= 1536 + 24
    assert tried[-1] > 40_000 - 2 * 1536


@pytest.mark.parametrize("before", [0, 4000])
def test_a_device_that_is_fast_again_gets_its_large_batches_again(before: int) -> None:
    pace = pace_of()
    drive(pace, gpu, before)
    assert drive(pace, lambda count: 300 * gpu(count), 400)[-1] == 1
    assert usual(drive(pace, gpu, 8000)) >= 32


def test_a_batch_that_began_before_another_ended_took_the_device_from_then_on_only() -> None:
    pace = pace_of(batch_s=10)
    for start, end in ((0.0, 1.0), (1.0, 2.0), (1.5, 4.0), (2.0, 5.0), (10.0, 11.0)):
        pace.observe("net", 6, start=start, end=end)
    curve = pace._curves["net"]
    assert curve.speed(curve.level) == pytest.approx(3 * 6 / (2 + 1 + 1)), "two are cold"
    assert curve.speeds[curve.level].mean_s == pytest.approx((2.5 + 3 + 1) / 3)
