"""Distillation: its terms against sums that are written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from maskzoo.training.losses.distillation import (
    attention_distance,
    channel_divergence,
    pixel_divergence,
)

T = 3.0


def _pair() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    return tuple(  # type: ignore[return-value]
        torch.randn(2, 3, 2, 4, dtype=torch.float64, generator=random) for _ in range(2)
    )


def _kl(student: list[float], teacher: list[float]) -> float:
    """Return KL(teacher || student) of softmax(values / T), by the definition."""
    ours, theirs = ([math.exp(value / T) for value in row] for row in (student, teacher))
    pairs = zip([e / sum(ours) for e in ours], [e / sum(theirs) for e in theirs], strict=True)
    return sum(t * math.log(t / s) for s, t in pairs)


def test_the_divergence_of_pixels_is_the_mean_over_their_classes_times_the_square_of_t() -> None:
    student, teacher = _pair()
    rows = [x.permute(0, 2, 3, 1).reshape(-1, 3).tolist() for x in (student, teacher)]
    expected = T**2 * sum(_kl(s, t) for s, t in zip(*rows, strict=True)) / 16
    assert float(pixel_divergence(student, teacher, temperature=T)) == pytest.approx(expected)


def test_the_divergence_of_channels_is_the_mean_over_maps_of_classes() -> None:
    student, teacher = _pair()
    rows = [x.reshape(-1, 8).tolist() for x in (student, teacher)]
    expected = T**2 * sum(_kl(s, t) for s, t in zip(*rows, strict=True)) / 6
    assert float(channel_divergence(student, teacher, temperature=T)) == pytest.approx(expected)


@pytest.mark.parametrize("term", [pixel_divergence, channel_divergence])
def test_a_divergence_is_zero_for_the_same_answers_and_ignores_a_constant(term) -> None:
    student, _ = _pair()
    assert float(term(student, student + 5, temperature=T)) == pytest.approx(0, abs=1e-12)


def test_a_divergence_is_taken_in_float32_from_halves() -> None:
    student, teacher = (x.bfloat16() for x in _pair())
    assert pixel_divergence(student, teacher, temperature=T).dtype == torch.float32


def test_attention_is_compared_as_unit_maps_of_energy_whatever_the_channels() -> None:
    # energies 1, 0, 0, 4 and 0, 3, 0, 0 at four positions: two maps without overlap
    student = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
    teacher = torch.tensor([[[[0.0, 3.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]])
    assert float(attention_distance([student], [teacher])) == pytest.approx(2)
    assert float(attention_distance([student], [7 * student])) == pytest.approx(0, abs=1e-6)


def test_attention_of_a_teacher_of_another_stride_is_compared_at_the_students_size() -> None:
    student = torch.ones(1, 2, 4, 4)
    teacher = torch.full((1, 5, 8, 8), 3.0)
    assert float(attention_distance([student], [teacher])) == pytest.approx(0, abs=1e-6)


def test_every_level_counts_the_same() -> None:
    one, other = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    assert float(attention_distance([one, one], [one, other])) == pytest.approx(1)
