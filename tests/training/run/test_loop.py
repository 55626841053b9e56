"""What the loop does between its steps: seeds, rates, average, patience, checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from maskzoo.models.errors import ZooError
from maskzoo.training.run.build import open_batches
from maskzoo.training.run.checkpoint import BEST, read_run_checkpoint
from maskzoo.training.run.loop import TrainingLoop
from maskzoo.training.run.parts import Parts
from maskzoo.training.scoring.metrics import ConfusionMatrix
from maskzoo.training.steps.step import step_seed

MakeParts = Callable[..., Parts]


def _run(parts: Parts) -> TrainingLoop:
    """Run the loop to its end."""
    loop = TrainingLoop(parts)
    loop.run(open_batches(parts.config, parts.context, start=0, stop=parts.lengths.total_steps))
    return loop


def test_each_step_has_the_seed_of_its_number(make_parts: MakeParts) -> None:
    parts = make_parts("max_steps=3", "seed=5")
    seeds: list[int] = []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        seeds.append(options["seed"])
        return parts.step(images, target, **options)

    _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert seeds == [step_seed(5, number, 0) for number in range(3)]


def test_two_steps_on_one_batch_at_almost_no_rate_differ_by_their_dropout(
    make_parts: MakeParts,
) -> None:
    parts = make_parts("max_steps=2", "model.options.dropout=0.5", "optimizer.lr=1e-30")
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    target = torch.randint(0, 2, (4, 32, 32))
    losses: list[float] = []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        result = parts.step(images, target, **options)
        losses.append(result.loss)
        return result

    TrainingLoop(replace(parts, step=step)).run([(images, target)] * 2)  # type: ignore[arg-type]
    assert losses[0] != losses[1]


def test_the_average_takes_in_each_step_once(
    make_parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts("max_steps=3", "ema=0.9", "optimizer.lr=0.1", "schedule.warmup=0")
    assert parts.average is not None
    key = "classifier.conv.weight"
    current, average = parts.network.state_dict()[key], parts.average.network.state_dict()[key]
    expected = average.clone()
    decays = iter([1 / 10, 2 / 11, 3 / 12])
    steps = 0

    def compare(status: object) -> None:
        nonlocal expected, steps
        decay = next(decays)
        expected = decay * expected + (1 - decay) * current
        torch.testing.assert_close(average, expected)
        steps += 1

    monkeypatch.setattr(parts.context.display, "update", compare)
    _run(parts)
    assert steps == 3
    stored = read_run_checkpoint(parts.context.run_dir / "last.ckpt")
    torch.testing.assert_close(stored.ema[key], expected)
    assert not torch.allclose(stored.ema[key], stored.model[key], rtol=1e-4, atol=1e-6)


def _matrix(mean_iou: float) -> ConfusionMatrix:
    """Return the counts of two classes with this IoU each: a of a + 2b pixels, of 20."""
    matrix = ConfusionMatrix(2, ignore_index=255)
    right = round(20 * mean_iou)
    wrong = (20 - right) // 2
    matrix.counts += [[right, wrong], [wrong, right]]
    return matrix


@pytest.fixture
def validations(monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[float]], None]:
    """Let the validations find these mean IoUs, one after the other."""

    def use(values: Iterable[float]) -> None:
        found = iter(values)
        monkeypatch.setattr(
            "maskzoo.training.run.loop.count_pixels", lambda *_, **__: _matrix(next(found))
        )

    return use


@pytest.mark.parametrize(
    ("values", "steps", "best"),
    [
        ([0.1, 0.1, 0.2, 0.2, 0.2], 5, 3),  # an improvement gives new patience
        ([0.3, 0.1, 0.2], 3, 1),  # better than the last one is no improvement
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6, 6),
    ],
)
def test_a_run_stops_after_so_many_validations_without_an_improvement(
    make_parts: MakeParts,
    validations: Callable[[Iterable[float]], None],
    values: list[float],
    steps: int,
    best: int,
) -> None:
    validations(values)
    parts = make_parts("early_stop=2", "validate_every=1", "batch_size=10", "max_steps=6")
    loop = _run(parts)
    assert (parts.progress.step, parts.progress.best_step) == (steps, best)
    assert parts.progress.best_score == pytest.approx(max(values))
    assert loop.is_finished


def test_rates_follow_the_schedule_and_the_scale(make_parts: MakeParts) -> None:
    schedule = ("schedule.name=poly", "schedule.power=1", "schedule.warmup=0")
    parts = make_parts("max_steps=4", "optimizer.lr=0.008", "optimizer.head_lr_mult=1", *schedule)
    parts.progress.lr_scale = 0.5
    rates: list[float] = []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        rates.append(parts.optimizer.param_groups[0]["lr"])
        return parts.step(images, target, **options)

    _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert rates == pytest.approx([0.004, 0.003, 0.002, 0.001])


def test_a_run_that_is_told_where_to_pause_validates_and_saves_there(
    make_parts: MakeParts,
) -> None:
    parts = make_parts("max_steps=6", "validate_every=100")
    batches = open_batches(parts.config, parts.context, start=0, stop=2)
    TrainingLoop(parts, until=2).run(batches)
    assert read_run_checkpoint(parts.context.run_dir / "last.ckpt").progress == parts.progress
    assert (parts.progress.step, parts.progress.best_step) == (2, 2)


def test_after_a_step_that_is_not_finite_the_average_is_the_checkpoints_too(
    make_parts: MakeParts,
) -> None:
    parts = make_parts("max_steps=3", "ema=0.5", "validate_every=100", "optimizer.lr=0.1")
    assert parts.average is not None
    key = "classifier.conv.weight"
    first, average = parts.average.network.state_dict()[key].clone(), parts.average.network
    moved: list[bool] = []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        result = parts.step(images, target, **options)
        moved.append(not torch.equal(average.state_dict()[key], first))
        return result if len(moved) < 3 else replace(result, is_finite=False)

    _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert moved == [False, True, True]
    stored = read_run_checkpoint(parts.context.run_dir / "last.ckpt")
    assert torch.equal(stored.ema[key], first)
    assert torch.equal(stored.model[key], first)


def test_the_best_weights_are_those_that_were_validated_the_average(make_parts: MakeParts) -> None:
    parts = make_parts("max_steps=2", "ema=0.9", "optimizer.lr=0.1", "schedule.warmup=0")
    _run(parts)
    best = safetensors.torch.load_file(parts.context.run_dir / BEST)
    stored = read_run_checkpoint(parts.context.run_dir / "last.ckpt")
    key = "classifier.conv.weight"
    assert torch.equal(best[key], stored.ema[key])
    assert not torch.equal(best[key], stored.model[key])


def test_after_a_validation_the_network_trains_again(make_parts: MakeParts) -> None:
    parts = make_parts("max_steps=3", "ema=null", "validate_every=1", "batch_size=10")
    modes: list[bool] = []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        modes.append(parts.network.training)
        return parts.step(images, target, **options)

    _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert modes == [True] * 3


def test_a_checkpoint_is_written_so_many_minutes_after_the_last_one(
    make_parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts("max_steps=7", "validate_every=100", "checkpoint_minutes=1")
    now, saved = 0.0, []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        nonlocal now
        now += 31
        return parts.step(images, target, **options)

    monkeypatch.setattr("maskzoo.training.run.loop.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(
        "maskzoo.training.run.loop.write_run_checkpoint",
        lambda path, checkpoint: saved.append(checkpoint.progress.step),
    )
    _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert saved == [0, 2, 4, 6, 7]


def test_a_run_gives_up_after_just_so_many_bad_steps(make_parts: MakeParts) -> None:
    parts = make_parts("max_steps=6", "max_bad_steps=3")

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        return replace(parts.step(images, target, **options), is_finite=False)

    with pytest.raises(ZooError, match="gave up after 3 steps"):
        _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert (parts.progress.bad_steps, parts.progress.lr_scale) == (3, 1 / 8)


def test_the_loss_that_is_shown_follows_slowly_and_skips_what_is_not_finite(
    make_parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts("max_steps=4", "max_bad_steps=3")
    found = iter([(1.0, True), (2.0, True), (float("nan"), False), (0.0, True)])
    shown: list[float | None] = []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        loss, is_finite = next(found)
        result = parts.step(images, target, **options)
        return replace(result, loss=loss, is_finite=is_finite)

    monkeypatch.setattr(parts.context.display, "update", lambda status: shown.append(status.loss))
    _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert shown == pytest.approx([1, 1.03, 1.03, 0.97 * 1.03])


def test_the_display_ends_with_a_run_that_fails(
    make_parts: MakeParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, told = make_parts("max_steps=2"), []

    def step(images: Tensor, target: Tensor, **options: Any) -> object:
        raise ValueError("broken")

    for name in ("start", "stop"):
        monkeypatch.setattr(parts.context.display, name, lambda *_, name=name: told.append(name))
    with pytest.raises(ValueError, match="broken"):
        _run(replace(parts, step=step))  # type: ignore[arg-type]
    assert told == ["start", "stop"]


def test_a_run_that_should_pause_after_its_end_ends(make_parts: MakeParts) -> None:
    parts = make_parts("max_steps=2", "validate_every=100")
    assert TrainingLoop(parts, until=99).until == 2
