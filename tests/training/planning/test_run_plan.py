"""Decisions: a value that was given stays, a value that was left open is set with its reason."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from maskzoo.training.config.load import load_config
from maskzoo.training.config.run_config import MachineConfig
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.planning.decision import Decision
from maskzoo.training.planning.run_plan import Draft, RunPlan

MACHINE = (
    "model.architecture=unet",
    "model.encoder=resnet18",
    "runtime.accelerator=cpu",
    "runtime.precision=fp32",
    "runtime.channels_last=false",
    "runtime.step=eager",
    "loader.num_workers=2",
)


def test_an_open_value_is_set_and_a_given_value_holds() -> None:
    draft = Draft(load_config([*MACHINE, "batch_size=3", "optimizer.lr=rule"]))
    assert draft.decide("batch_size", 8, "usual") == 3
    assert draft.decide("optimizer.lr", 0.5, "a rule") == 0.5
    assert draft.decide("epochs", 9, "enough") == 9
    plan = draft.finish(MachineConfig)
    assert (plan.config.batch_size, plan.config.optimizer.lr, plan.config.epochs) == (3, 0.5, 9)
    assert plan.decisions == (
        Decision("optimizer.lr", 0.5, "a rule"),
        Decision("epochs", 9, "enough"),
    )


def test_a_draft_with_a_needed_value_open_cannot_be_finished() -> None:
    with pytest.raises(ValidationError, match="accelerator"):
        Draft(TrainConfig()).finish(MachineConfig)


def test_a_value_decided_before_is_revised_with_its_reason() -> None:
    config = MachineConfig.model_validate(load_config([*MACHINE, "optimizer.lr=0.5"]).model_dump())
    first, second = Decision("optimizer.lr", 0.5, "rule"), Decision("epochs", 9, "enough")
    plan = RunPlan(config, (first, second))
    tested = plan.revised("optimizer.lr", 0.125, "range test")
    assert tested.config.optimizer.lr == 0.125
    assert tested.decisions == (second, Decision("optimizer.lr", 0.125, "range test"))
    assert plan.config.optimizer.lr == 0.5  # the plan itself stays
