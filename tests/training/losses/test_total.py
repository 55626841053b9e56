"""The sum of terms over all outputs of a network."""

from __future__ import annotations

import math

import pytest
import torch

from maskzoo.models.network.network import TrainOutput
from maskzoo.training.config.losses import AnyTerm, CrossEntropyTerm, DiceTerm
from maskzoo.training.losses.cross_entropy import cross_entropy
from maskzoo.training.losses.overlap import dice
from maskzoo.training.losses.total import SegmentationLoss

IGNORE = 255


def build(*terms: AnyTerm, **changes: object) -> SegmentationLoss:
    settings: dict = {"class_weights": None, "aux_weights": {}, "scene_weight": 0.0}
    return SegmentationLoss(terms, ignore_index=IGNORE, **(settings | changes))


def test_terms_outputs_and_weights_add_up() -> None:
    torch.manual_seed(0)
    target = torch.randint(0, 3, (2, 4, 5))
    target[0, 0] = IGNORE
    main, aux = torch.randn(2, 2, 3, 4, 5).unbind(0)
    scene = torch.randn(2, 3)
    weights = torch.tensor([1.0, 2.0, 0.5])
    terms = (CrossEntropyTerm(weight=2), DiceTerm(weight=0.5))
    loss = build(*terms, class_weights=weights, aux_weights={"fcn": 0.4}, scene_weight=0.2)
    total, parts = loss(TrainOutput(main, {"fcn": aux}, scene), target)

    def pixels(logits: torch.Tensor) -> float:
        entropy = cross_entropy(logits, target, ignore_index=IGNORE, class_weights=weights)
        return 2 * entropy.item() + 0.5 * dice(logits, target, ignore_index=IGNORE).item()

    presence = [[float((target[n] == k).any()) for k in range(3)] for n in range(2)]
    bce = 0.0
    for n in range(2):
        for k in range(3):
            p = 1 / (1 + math.exp(-scene[n, k].item()))
            bce -= math.log(p if presence[n][k] else 1 - p) / 6
    assert total.item() == pytest.approx(pixels(main) + 0.4 * pixels(aux) + 0.2 * bce, rel=1e-5)
    assert set(parts) == {"ce", "dice", "aux_fcn", "scene"}
    assert parts["scene"].item() == pytest.approx(bce, rel=1e-5)
    assert parts["aux_fcn"].item() == pytest.approx(pixels(aux), rel=1e-5)
    assert not any(value.requires_grad for value in parts.values())


def test_two_terms_of_one_name_are_both_reported() -> None:
    target = torch.randint(0, 2, (1, 4, 4))
    logits = torch.randn(1, 2, 4, 4)
    loss = build(CrossEntropyTerm(), CrossEntropyTerm(label_smoothing=0.5))
    total, parts = loss(TrainOutput(logits), target)
    assert list(parts) == ["ce", "ce_2"]
    assert sum(float(part) for part in parts.values()) == pytest.approx(total.item(), rel=1e-6)


def test_all_outputs_without_a_counted_pixel_cost_0_without_gradient() -> None:
    logits, aux, scene = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 4, 4), torch.randn(1, 2)
    tensors = [tensor.requires_grad_() for tensor in (logits, aux, scene)]
    loss = build(CrossEntropyTerm(), DiceTerm(), aux_weights={"a": 0.4}, scene_weight=0.2)
    total, _ = loss(TrainOutput(logits, {"a": aux}, scene), torch.full((1, 4, 4), IGNORE))
    total.backward()
    assert total.item() == 0
    for tensor in tensors:
        assert tensor.grad is not None
        assert not tensor.grad.any()


def test_an_image_without_a_counted_pixel_has_no_scene_whatever_the_ignored_id() -> None:
    counted = torch.tensor([[0, 0, 2, 1]])
    output = TrainOutput(torch.randn(2, 3, 1, 4), {}, torch.randn(2, 3))
    losses = []
    for ignored in (7, 255):
        loss = SegmentationLoss(
            (CrossEntropyTerm(),),
            ignore_index=ignored,
            class_weights=None,
            aux_weights={},
            scene_weight=1.0,
        )
        target = torch.stack([counted, torch.full_like(counted, ignored)])
        losses.append(loss(output, target)[0].item())
    assert losses[0] == losses[1]
