"""The range test finds a rate, is a function of the seed, and leaves the run alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from maskzoo.training.config.load import load_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.run.checkpoint import read_run_checkpoint
from maskzoo.training.run.fit import train
from maskzoo.training.steps.range_test import choose_rate, range_test_steps, run_range_test
from maskzoo.training.steps.step import StepResult

RATES = [10.0 ** (power / 4) for power in range(-16, 1)]  # 1e-4 … 1


def test_a_tenth_of_the_rate_of_the_lowest_loss_is_taken() -> None:
    losses = [1.0] * 5 + [0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.35, 0.8, 2.0, 3.0, 4.0, 5.0]
    found = choose_rate(RATES, losses, rule=0.005)
    assert found.lr == pytest.approx(RATES[10] / 10, rel=0.05)
    assert found.why.startswith("range test: the loss fell from 1 to 0.3 at rate 0.032; a tenth")
    assert "kept within" not in found.why


def test_the_result_stays_near_the_rule_of_thumb() -> None:
    losses = [1.0 - 0.05 * number for number in range(17)]
    found = choose_rate(RATES, losses, rule=0.001)
    assert found.lr == 0.005
    assert found.why.endswith("kept within a factor 5 of the rule of thumb 0.001")


@pytest.mark.parametrize("losses", [[], [1.0, 1.1, 1.5, 4.0]])
def test_a_loss_that_never_falls_leaves_the_rule(losses: list[float]) -> None:
    found = choose_rate(RATES[: len(losses)], losses, rule=0.002)
    assert found.lr == 0.002
    assert "the loss fell at no rate" in found.why


@pytest.mark.parametrize(("total", "steps"), [(20, 0), (749, 0), (750, 30), (1500, 60), (9999, 80)])
def test_the_test_takes_a_small_share_of_the_run(total: int, steps: int) -> None:
    assert range_test_steps(total) == steps


@pytest.fixture
def short_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maskzoo.training.run.fit.range_test_steps", lambda total: 12)


@pytest.mark.usefixtures("short_test")
def test_a_run_with_a_range_test_is_the_run_with_that_rate_given(
    discs: Path,
    tiny: Callable[..., TrainConfig],
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    train(discs, tiny(), run_dir=tmp_path / "tested", display=display)
    kept = json.loads((tmp_path / "tested" / "range_test.json").read_text())
    rate = load_config(file=tmp_path / "tested" / "config.yaml").optimizer.lr
    assert rate == kept["lr"]
    assert len(kept["rates"]) == len(kept["losses"]) > 3
    assert "range test" in shown()
    train(discs, tiny(f"optimizer.lr={rate}"), run_dir=tmp_path / "given")
    tested, given = (
        read_run_checkpoint(tmp_path / name / "last.ckpt") for name in ("tested", "given")
    )
    assert all(torch.equal(given.model[name], value) for name, value in tested.model.items())
    torch.testing.assert_close(tested.optimizer, given.optimizer, rtol=0, atol=0)
    train(discs, tiny(), run_dir=tmp_path / "again")
    assert json.loads((tmp_path / "again" / "range_test.json").read_text()) == kept


def test_a_short_run_takes_the_rule_and_says_so(
    discs: Path, tiny: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    train(discs, tiny("max_steps=1"), run_dir=tmp_path)
    rows = json.loads((tmp_path / "plan.json").read_text())
    why = next(row["why"] for row in rows if row["key"] == "optimizer.lr")
    assert "too short for a range test" in why
    assert not (tmp_path / "range_test.json").exists()
    assert read_log(tmp_path / "log.jsonl")


def test_each_step_has_its_seed_and_the_micro_batch_that_fitted_before() -> None:
    asked: list[tuple[int, int]] = []

    def step(images: object, target: object, *, micro_batch: int, seed: int) -> StepResult:
        asked.append((micro_batch, seed))
        return StepResult(1.0, {}, True, 2)

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    optimizer.param_groups[0]["peak_lr"] = 1.0
    found = run_range_test(
        step,  # type: ignore[arg-type]
        optimizer,
        [(torch.zeros(1), torch.zeros(1))] * 5,
        rule=0.01,
        steps=3,
        micro_batch=8,
        seed_of=lambda number: 100 + number,
    )
    assert asked == [(8, 100), (2, 101), (2, 102)]
    assert found.rates == pytest.approx((1e-4, 1e-2, 1.0))
