"""Room in pixels, and the computed Retry-After."""

from __future__ import annotations

import pytest

from service.admission import MIN_COST_PX, Admission
from service.errors import OverloadedError


def test_what_does_not_fit_beside_the_others_is_refused():
    admission = Admission(1_000_000)
    with admission.admit(900_000):
        with pytest.raises(OverloadedError), admission.admit(200_000):
            pass
        with admission.admit(100_000):
            assert admission.pixels == 1_000_000
    assert admission.pixels == 0


def test_a_large_image_is_let_in_when_nobody_else_is():
    admission = Admission(100)
    with admission.admit(10_000_000):
        pass


def test_tiny_images_cost_something():
    admission = Admission(2 * MIN_COST_PX)
    with admission.admit(1), admission.admit(1), pytest.raises(OverloadedError):
        admission.check()


def test_room_is_given_back_after_a_failure():
    admission = Admission(100)
    with pytest.raises(ValueError, match="broken"), admission.admit(50):
        raise ValueError("broken")
    assert admission.pixels == 0


def test_retry_after_is_the_time_to_drain_at_the_measured_speed():
    now = [0.0]
    admission = Admission(10_000_000, clock=lambda: now[0])
    assert admission.retry_after_s() == 1, "nothing is known yet"
    with admission.admit(1_000_000):
        now[0] = 2.0  # half a megapixel per second
    with admission.admit(10_000_000):
        with pytest.raises(OverloadedError) as caught:
            admission.check()
        assert caught.value.retry_after_s == 20
