"""The records of a configuration: defaults, bounds, frozen."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from maskzoo.models.errors import SpecError
from maskzoo.training.config.load import load_config
from maskzoo.training.config.settings import TrainConfig


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("value", [".inf", ".nan", "inf", "-1"])
def test_a_rate_is_a_positive_number(value: str) -> None:
    with pytest.raises(SpecError, match=r"optimizer\.lr: "):
        load_config([f"optimizer.lr={value}"])


def test_defaults_leave_what_depends_on_the_data_to_the_plan() -> None:
    config = load_config()
    assert config == TrainConfig()
    assert (config.batch_size, config.optimizer.lr, config.loader.crop_size) == ("auto",) * 3
