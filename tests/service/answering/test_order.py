"""An order says what the predictor must compute, and exists only if its model can meet it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maskzoo.models.errors import UnknownNameError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.service.answering.order import AnswerLimit
from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses.answer import AnswerNeeds
from tests.service.headers import image_info


def test_the_options_of_the_request_become_those_of_the_prediction(make_order):
    order = make_order(max_side=64, mode="resize", tta="flip")
    assert order.predict_options == PredictOptions(
        mode="resize", max_side=64, tta="flip", confidence=False
    )


@pytest.mark.parametrize(
    ("needs", "options", "expected"),
    [
        (AnswerNeeds(), {}, False),
        (AnswerNeeds(needs_confidence=True), {}, True),
        (AnswerNeeds(), {"threshold": 0.5}, True),
    ],
)
def test_confidence_is_computed_for_a_format_or_a_threshold(make_order, needs, options, expected):
    assert make_order(needs, **options).predict_options.confidence is expected


@pytest.mark.parametrize("takes", [False, True])
@pytest.mark.parametrize("asked", [False, True])
def test_probabilities_are_kept_where_they_are_asked_for_and_written(make_order, takes, asked):
    order = make_order(AnswerNeeds(takes_probabilities=takes), probabilities=asked)
    assert order.predict_options.probabilities is (takes and asked)


def test_an_image_whose_probabilities_would_not_fit_is_refused(make_order):
    order = make_order(AnswerNeeds(takes_probabilities=True), mode="tiled", probabilities=True)
    order.plan(image_info(width=2**13, height=2**12))  # 2 classes of 2^25 pixels: 2^26 values
    with pytest.raises(BadParameterError, match=r"probabilities: this takes 67117056, .* 67108864"):
        order.plan(image_info(width=2**13 + 1, height=2**12))


def test_an_order_that_the_model_cannot_meet_does_not_come_to_be(make_order):
    with pytest.raises(UnknownNameError, match="unknown class 'car'"):
        make_order(classes="nucleus,car")


@pytest.mark.parametrize(
    ("tta", "views"), [("none", 1), ("flip", 2), ("d4", 8), ("multiscale:4", 16)]
)
def test_a_run_of_the_network_has_a_limit_that_counts_every_view(make_order, tta, views):
    order = make_order(mode="whole", tta=tta)
    side = 4096
    width = 2**24 // views // side
    plan = order.plan(image_info(width=width, height=side))
    assert (plan.cost.run_pixels, plan.cost.network_pixels) == (2**24, 2**24)
    with pytest.raises(BadParameterError, match="at most 16777216 are allowed, of pixels in one"):
        order.plan(image_info(width=width + 1, height=side))


def test_tiles_are_runs_of_their_own_and_count_as_load(make_order):
    cost = make_order(mode="tiled", tta="d4").plan(image_info(width=5000, height=5000)).cost
    assert cost.network_pixels == 8 * 5000 * 5000
    assert cost.run_pixels == 8 * 64 * 64


def test_an_answer_with_a_limit_of_its_own_is_refused_from_the_header(make_order):
    order = replace(make_order(), answer_limit=AnswerLimit(6, "in flat masks; ask for less"))
    order.plan(image_info(width=3, height=2))
    with pytest.raises(BadParameterError, match="7 x 1 pixels, and at most 6 can be answered: in "):
        order.plan(image_info(width=7, height=1))


def test_every_mistake_of_an_image_is_said_at_once(make_order):
    order = make_order(AnswerNeeds(takes_probabilities=True), mode="whole", probabilities=True)
    with pytest.raises(BadParameterError) as caught:
        order.plan(image_info(width=10**5, height=10**5))
    assert [line.partition(":")[0] for line in caught.value.mistakes] == [
        "mode",
        "mode",
        "probabilities",
    ]


@pytest.mark.parametrize(("masks", "runs"), [("none", 0), ("png", 0), ("rle", 1), ("coco,png", 1)])
def test_an_answer_counts_the_masks_that_the_options_name(make_order, masks, runs):
    needs = AnswerNeeds(bytes_per_pixel=1, bytes_per_run=10, follows_masks=True)
    cost = make_order(needs, masks=masks).plan(image_info(width=60, height=40)).cost
    assert cost.answer_bytes == 2400 * (1 + 10 * runs)


@pytest.mark.parametrize(("max_runs", "runs"), [(10**6, 2400), (50, 50)])
def test_an_answer_counts_no_more_runs_than_its_limits_allow(make_order, max_runs, runs):
    order = make_order(AnswerNeeds(bytes_per_pixel=0, bytes_per_run=10))
    order = replace(order, limits=replace(order.limits, max_runs=max_runs))
    assert order.plan(image_info(width=60, height=40)).cost.answer_bytes == 10 * runs
