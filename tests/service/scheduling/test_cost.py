"""A cost in pixels, and the limits that it may not pass."""

from __future__ import annotations

from dataclasses import fields

import pytest

from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.cost import Cost, CostLimits
from maskzoo.service.settings import Settings

SMALL = Settings(
    max_pixels=1,
    job_max_pixels=2,
    max_corners=4,
    job_max_corners=5,
    max_runs=6,
    job_max_runs=7,
    run_pixels=10,
    run_bytes=20,
    logit_values=30,
    probability_values=40,
)


@pytest.mark.parametrize(
    ("cost", "held", "load"),
    [
        (Cost(image_pixels=9, network_pixels=4), 9, 9),
        (Cost(image_pixels=9, network_pixels=40), 40, 40),
        (Cost(image_pixels=9, body_bytes=640), 10, 9),
        (Cost(image_pixels=9, logit_values=160), 10, 9),
        (Cost(image_pixels=9, answer_bytes=641), 11, 9),
        (Cost(image_pixels=9, body_bytes=64, logit_values=160, answer_bytes=64), 12, 9),
    ],
)
def test_an_image_holds_its_work_or_its_memory_whichever_is_more(cost, held, load):
    """64 bytes are a pixel; memory takes no time."""
    assert (cost.held, cost.load) == (held, load)


def test_admission_counts_the_memory_of_an_image_and_waits_for_its_work():
    admission = Admission(10**9)
    with admission.admit(Cost(image_pixels=100_000, logit_values=16 * 10**6)):
        assert admission.pixels == 10**6
    assert admission.pixels == 0


@pytest.mark.parametrize("limit", ["run_pixels", "run_bytes", "logit_values", "probability_values"])
def test_each_limit_is_a_number_that_is_allowed_and_one_more_that_is_not(limit):
    limits = CostLimits.of(SMALL)
    most = getattr(SMALL, limit)
    assert limits.mistakes(Cost(**{limit: most})) == []
    (mistake,) = limits.mistakes(Cost(**{limit: most + 1}))
    assert f"this takes {most + 1}, and at most {most} are allowed" in mistake


def test_jobs_have_their_own_limits_of_pixels_corners_and_runs():
    assert CostLimits.of(SMALL) == CostLimits(1, 4, 6, 10, 20, 30, 40)
    assert CostLimits.of(SMALL, is_job=True) == CostLimits(2, 5, 7, 10, 20, 30, 40)


def test_what_is_counted_is_limited_or_admitted():
    """A field of the cost that nothing asks for would count for nothing."""
    for field in fields(Cost):
        huge = Cost(**{field.name: 10**15})
        assert CostLimits.of(SMALL).mistakes(huge) or huge.held > 10**12, field.name
