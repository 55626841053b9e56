"""Room in pixels, and the computed Retry-After."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from maskzoo.service.errors import OverloadedError, StoppedError
from maskzoo.service.scheduling.admission import MAX_LOAD_PX, MIN_COST_PX, Admission
from maskzoo.service.scheduling.cost import Cost


def px(count: int) -> Cost:
    """The cost of so many pixels."""
    return Cost(image_pixels=count)


def test_what_does_not_fit_beside_the_others_is_refused():
    admission = Admission(1_000_000)
    with admission.admit(px(900_000)):
        with pytest.raises(OverloadedError), admission.admit(px(200_000)):
            pass
        with admission.admit(px(100_000)):
            assert admission.pixels == 1_000_000
    assert admission.pixels == 0


def test_a_large_image_is_let_in_when_nobody_else_is():
    admission = Admission(100)
    with admission.admit(px(10_000_000)):
        assert admission.pixels == 10_000_000


def test_tiny_images_cost_something():
    admission = Admission(2 * MIN_COST_PX)
    with admission.admit(px(1)), admission.admit(px(1)), pytest.raises(OverloadedError):
        admission.check()


def test_room_is_given_back_after_a_failure():
    admission = Admission(100)
    with pytest.raises(ValueError, match="broken"), admission.admit(px(50)):
        raise ValueError("broken")
    assert admission.pixels == 0


def test_retry_after_is_the_time_to_drain_at_the_measured_speed():
    now = [0.0]
    admission = Admission(2_000_000, clock=lambda: now[0])
    assert admission.retry_after_s() == 1, "nothing is known yet"
    with admission.admit(px(1_000_000)):
        now[0] = 2.0  # half a megapixel per second
    with admission.admit(px(2_000_000)):
        with pytest.raises(OverloadedError) as caught:
            admission.check()
        assert caught.value.retry_after_s == 4


def warm(now: list[float], **options: object) -> Admission:
    """An admission that has seen one megapixel per second."""
    admission = Admission(10**12, clock=lambda: now[0], **options)
    for _ in range(100):
        with admission.admit(px(1_000_000)):
            now[0] += 1
    return admission


def test_who_would_wait_too_long_is_told_at_once():
    admission = warm([0.0], max_wait_s=10)
    with ExitStack() as stack:
        for _ in range(11):
            stack.enter_context(admission.admit(px(1_000_000)))
        with pytest.raises(OverloadedError) as caught:
            admission.check()
        assert caught.value.retry_after_s == 11


def test_who_has_less_time_than_the_others_is_told_earlier():
    admission = warm([0.0])
    with admission.admit(px(1_000_000)), admission.admit(px(1_000_000)):
        admission.check(within_s=3)
        with pytest.raises(OverloadedError):
            admission.check(within_s=1.5)
    admission.check(within_s=0.001)


def test_answers_that_come_in_batches_do_not_confuse_the_speed():
    now = [0.0]
    admission = Admission(10**12, clock=lambda: now[0])
    for _ in range(20):
        with ExitStack() as batch:
            for _ in range(8):
                batch.enter_context(admission.admit(px(1_000_000)))
            now[0] += 8
    with admission.admit(px(1_000_000)):
        assert admission.wait_s() == pytest.approx(1, rel=0.1)


def test_a_pause_is_not_counted_as_work():
    now = [0.0]
    admission = warm(now)
    now[0] += 3600
    with admission.admit(px(1_000_000)):
        now[0] += 1
        assert admission.wait_s() == pytest.approx(1)
    with admission.admit(px(1_000_000)):
        assert admission.wait_s() == pytest.approx(1), "nor afterwards"


def test_the_speed_is_that_of_what_others_wait_for_and_a_huge_image_leaves_no_trace():
    now = [0.0]
    admission = Admission(10**12, clock=lambda: now[0])
    with admission.admit(px(100 * MAX_LOAD_PX)):
        now[0] += 2
    assert admission.wait_s() == 0, "nobody is inside"
    with admission.admit(px(MAX_LOAD_PX)):
        assert admission.wait_s() == pytest.approx(2)


def test_one_huge_image_does_not_keep_the_small_ones_out():
    admission = warm([0.0], max_wait_s=10)
    with admission.admit(px(50_000_000)):
        assert admission.wait_s() == pytest.approx(MAX_LOAD_PX / 1e6)
        admission.check()


def test_after_closing_nobody_is_let_in():
    admission = Admission(100)
    admission.close()
    with pytest.raises(StoppedError, match="stopping"):
        admission.check()


def test_who_may_wait_just_as_long_as_it_takes_is_let_in():
    now = [0.0]
    admission = Admission(10**12, max_wait_s=2, clock=lambda: now[0])
    with admission.admit(px(1_000_000)):
        now[0] = 2.0
    with admission.admit(px(1_000_000)):
        assert admission.wait_s() == 2
        admission.check(within_s=2)
        with admission.admit(px(MIN_COST_PX)), pytest.raises(OverloadedError):
            admission.check()


@pytest.mark.parametrize(
    ("seconds", "retry_after_s"), [(0.2, 1), (2.5, 3), (119.5, 120), (300, 120)]
)
def test_the_time_to_retry_is_in_whole_seconds_and_two_minutes_at_most(seconds, retry_after_s):
    now = [0.0]
    admission = Admission(2_000_000, clock=lambda: now[0])
    with admission.admit(px(2_000_000)):
        now[0] = seconds
    with admission.admit(px(2_000_000)):
        assert admission.retry_after_s() == retry_after_s


def test_an_image_that_fails_says_nothing_of_the_speed():
    now = [0.0]
    admission = Admission(10**12, clock=lambda: now[0])

    def fail() -> None:
        now[0] = 100.0
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), admission.admit(px(1_000_000)):
        fail()
    with admission.admit(px(1_000_000)):
        assert admission.wait_s() == 0, "nothing is known yet"


def test_many_tiny_images_are_waited_for_as_what_they_cost():
    admission = warm([0.0])
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(admission.admit(px(1)))
        assert admission.wait_s() == pytest.approx(100 * MIN_COST_PX / 1e6)
