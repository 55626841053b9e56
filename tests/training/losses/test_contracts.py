"""What every loss in the table keeps to: gradient, ignore, precision, options."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from maskzoo.models.network.network import TrainOutput
from maskzoo.training.config.load import load_config
from maskzoo.training.config.losses import AnyTerm
from maskzoo.training.config.run_config import RunLoss
from maskzoo.training.losses.total import TERMS, WEIGHTED_BY_CLASS, SegmentationLoss

IGNORE = 255
Batch = Callable[..., tuple[Tensor, Tensor]]

pytestmark = pytest.mark.parametrize("name", sorted(TERMS))


def test_the_table_and_the_configuration_know_the_same_terms(name: str) -> None:
    terms = {term.model_fields["name"].default: term for term in get_args(AnyTerm)}
    assert set(terms) == set(TERMS)
    assert load_config([f"loss.terms=[{{name: {name}, weight: 2}}]"]).loss.terms == (
        terms[name](weight=2),
    )


def test_the_gradient_is_that_of_the_value(name: str, batch: Batch) -> None:
    logits, target = batch(3)
    assert torch.autograd.gradcheck(
        lambda x: TERMS[name](x, target, ignore_index=IGNORE), logits.requires_grad_()
    )


def test_nothing_counted_costs_0_with_a_gradient_of_0(name: str, batch: Batch) -> None:
    logits, target = batch()
    logits.requires_grad_()
    options = {"class_weights": torch.ones(3)} if name in WEIGHTED_BY_CLASS else {}
    value = TERMS[name](logits, torch.full_like(target, IGNORE), ignore_index=IGNORE, **options)
    value.backward()
    assert value.shape == ()
    assert value.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_what_is_predicted_on_ignored_pixels_changes_nothing(name: str, batch: Batch) -> None:
    logits, target = batch(4)
    logits.requires_grad_()
    value = TERMS[name](logits, target, ignore_index=IGNORE)
    value.backward()
    assert logits.grad is not None
    ignored = (target == IGNORE)[:, None].expand_as(logits)
    assert not logits.grad[ignored].any()
    other = torch.where(ignored, -7 * logits, logits)
    assert TERMS[name](other, target, ignore_index=IGNORE).item() == pytest.approx(value.item())


def test_a_better_prediction_costs_less(name: str, batch: Batch) -> None:
    logits, target = batch(5)
    truth = torch.nn.functional.one_hot(torch.where(target == IGNORE, 0, target), 3)
    values = [
        TERMS[name](logits + step * truth.permute(0, 3, 1, 2), target, ignore_index=IGNORE).item()
        for step in range(5)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


@pytest.mark.parametrize("certainty", [-80.0, 80.0])
def test_certain_predictions_have_finite_values_and_gradients(
    name: str, batch: Batch, certainty: float
) -> None:
    _, target = batch(6)
    truth = torch.nn.functional.one_hot(torch.where(target == IGNORE, 0, target), 3)
    logits = (certainty * truth.permute(0, 3, 1, 2)).float().requires_grad_()
    value = TERMS[name](logits, target, ignore_index=IGNORE)
    value.backward()
    assert logits.grad is not None
    assert math.isfinite(value.item())
    assert torch.isfinite(logits.grad).all()


def test_half_precision_is_computed_in_float32(name: str, batch: Batch) -> None:
    logits, target = batch(7)
    value = TERMS[name](logits.bfloat16(), target, ignore_index=IGNORE)
    exact = TERMS[name](logits.bfloat16().float(), target, ignore_index=IGNORE)
    assert value.dtype == torch.float32
    assert value.item() == exact.item()


def test_options_of_a_term_reach_its_function(name: str, batch: Batch) -> None:
    logits, target = batch(8)
    weights = torch.tensor([0.5, 1.0, 2.0])
    terms = RunLoss.model_validate({"terms": [{"name": name, "weight": 3}], "class_weights": None})
    loss = SegmentationLoss(
        terms.terms, ignore_index=IGNORE, class_weights=weights, aux_weights={}, scene_weight=0
    )
    total, parts = loss(TrainOutput(logits), target)
    options = {"class_weights": weights} if name in WEIGHTED_BY_CLASS else {}
    expected = TERMS[name](logits, target, ignore_index=IGNORE, **options).item()
    assert parts[name].item() == pytest.approx(expected)
    assert total.item() == pytest.approx(3 * expected)
