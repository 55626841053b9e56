"""An order says what the predictor must compute, and exists only if its model can meet it."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import UnknownNameError
from maskzoo.models.inference.options import PredictOptions
from maskzoo.service.answering.order import MAX_RUN_PIXELS
from maskzoo.service.errors import BadParameterError
from maskzoo.service.responses.answer import AnswerNeeds


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
    order = make_order(AnswerNeeds(takes_probabilities=True), probabilities=True)
    order.check_size(2**12, 2**13)  # 2 classes of 2^25 pixels: 2^26 values
    with pytest.raises(BadParameterError, match="2 classes of 8193 x 4096 pixels are more than"):
        order.check_size(2**12, 2**13 + 1)
    make_order().check_size(2**20, 2**20)


def test_an_order_that_the_model_cannot_meet_does_not_come_to_be(make_order):
    with pytest.raises(UnknownNameError, match="unknown class 'car'"):
        make_order(classes="nucleus,car")


@pytest.mark.parametrize(
    ("tta", "views"), [("none", 1), ("flip", 2), ("d4", 8), ("multiscale:4", 16)]
)
def test_a_run_of_the_network_has_a_limit_that_counts_every_view(make_order, tta, views):
    order = make_order(mode="whole", tta=tta)
    side = 4096
    width = MAX_RUN_PIXELS // views // side
    assert order.network_pixels(side, width) == MAX_RUN_PIXELS
    with pytest.raises(BadParameterError, match=r"'whole' runs the network on .* mode=tiled"):
        order.network_pixels(side, width + 1)


def test_tiles_are_runs_of_their_own_and_count_as_load(make_order):
    assert make_order(mode="tiled", tta="d4").network_pixels(5000, 5000) == 8 * 5000 * 5000
