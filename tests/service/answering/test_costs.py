"""The cost of an image, against the same sums by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.resize import InputPlan, plan_input
from maskzoo.models.inference.tiles import lay_tiles
from maskzoo.models.labels import LabelSet
from maskzoo.service.answering.costs import cost_of
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.scheduling.cost import Cost


def cost(plan: InputPlan, num_classes: int, *, needs: AnswerNeeds | None = None, **options) -> Cost:
    model = SimpleNamespace(
        labels=LabelSet.generic(num_classes),
        predictor=SimpleNamespace(run_bytes=lambda size: 1000 * size[0] * size[1]),
    )
    return cost_of(
        plan,
        PredictOptions(**options),
        model,
        needs or AnswerNeeds(bytes_per_pixel=3),
        image_pixels=7,
        body_bytes=5,
    )


def test_a_whole_image_holds_the_logits_of_its_input():
    found = cost(plan_input((100, 200), "whole"), 5)
    assert found == Cost(
        body_bytes=5,
        image_pixels=7,
        network_pixels=20_000,
        run_pixels=20_000,
        run_bytes=20_000_000,
        logit_values=5 * 20_000,
        answer_bytes=3 * 20_000,
    )


def test_views_count_as_pixels_and_the_largest_as_memory():
    """Scales 1 and 2 by two symmetries: 2 x (1 + 4) inputs; logits of scale 2 and their sum."""
    found = cost(plan_input((100, 200), "whole"), 5, tta="flip+multiscale:1,2")
    assert found.network_pixels == found.run_pixels == 10 * 20_000
    assert found.run_bytes == 1000 * 200 * 400
    assert found.logit_values == 5 * (4 + 1) * 20_000


def test_a_resized_image_holds_rows_of_logits_as_wide_as_the_image():
    plan = plan_input((4000, 8000), "resize", max_side=1000)
    assert plan.scaled == (500, 1000)
    assert cost(plan, 150).logit_values == 150 * (500 * 1000 + 500 * 8000)
    assert cost(plan, 2).logit_values == 2 * 500 * 1000 + 4000 * 8000  # only their difference
    wide = plan_input((1000, 100_000), "resize", max_side=1000)
    assert cost(wide, 150).logit_values == 150 * (32 * 1000 + 1000 * 1000)  # columns first


@pytest.mark.parametrize(("num_classes", "ahead"), [(5, 4), (2000, 2), (5000, 1)])
def test_a_tiled_image_holds_a_few_tiles_and_what_two_rows_of_them_share(num_classes, ahead):
    """Of 2000 classes two tiles are on their way: the logits of each have 131 MB, of 5000 328."""
    tiles = lay_tiles((300, 1000), (128, 128))
    plan = InputPlan("tiled", (300, 1000), (300, 1000), (300, 1000), tiles)
    found = cost(plan, num_classes)
    tile, shared = 128 * 128, tiles.rows.max_shared * 1000
    assert found.logit_values == num_classes * (tile * (1 + ahead - 1 + 3) + shared)
    assert (found.run_pixels, found.network_pixels) == (tile, 300_000)


def test_probabilities_are_values_of_logits_and_of_the_answer():
    found = cost(plan_input((100, 200), "whole"), 5, probabilities=True)
    assert found.probability_values == 5 * 20_000
    assert found.logit_values == 2 * 5 * 20_000
    assert found.answer_bytes == 3 * 20_000 + 6 * 5 * 20_000
