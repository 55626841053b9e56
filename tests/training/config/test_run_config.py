"""A run's configuration has every value, and keeps the keys of what a person gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from maskzoo.training.config.load import dump_config, load_config
from maskzoo.training.config.overrides import dotted_paths
from maskzoo.training.config.run_config import MachineConfig, RunConfig
from maskzoo.training.config.settings import TrainConfig

DECIDED = (
    "epochs=2",
    "batch_size=4",
    "validate_every=1",
    "model.architecture=unet",
    "model.encoder=resnet18",
    "optimizer.lr=0.1",
    "optimizer.head_lr_mult=1",
    "loss.terms=[{name: ce}]",
    "loss.class_weights=null",
    "loader.crop_size=32",
    "loader.crops_per_image=area",
    "loader.num_workers=0",
    "loader.cache_mib=0",
    "augment.rare_class_crops=0",
    "augment.flip_vertical=0",
    "augment.rotate90=0",
    "runtime.accelerator=cpu",
    "runtime.precision=fp32",
    "runtime.channels_last=false",
    "runtime.step=eager",
    "runtime.micro_batch=4",
    "bundle.name=mine",
    "bundle.engine=none",
)
VALUES = load_config(DECIDED).model_dump()


@pytest.mark.parametrize("setting", DECIDED)
def test_a_run_takes_no_configuration_with_a_value_left_open(setting: str) -> None:
    key = setting.partition("=")[0]
    if key != "loss.class_weights":
        RunConfig.model_validate(VALUES)
    values = load_config([*DECIDED, f"{key}=auto"]).model_dump()
    with pytest.raises(ValidationError, match=key.rpartition(".")[2]):
        RunConfig.model_validate(values)


def test_nothing_else_is_left_open_by_default() -> None:
    left = {
        path
        for path in dotted_paths(TrainConfig)
        if (value := _get(TrainConfig(), path)) == "auto" and isinstance(value, str)
    }
    assert left == {setting.partition("=")[0] for setting in DECIDED}


def test_a_machine_needs_its_device_and_network_only() -> None:
    given = [item for item in DECIDED if item.startswith(("model.", "runtime.", "loader.num"))]
    values = load_config([*given, "runtime.micro_batch=auto"]).model_dump()
    assert MachineConfig.model_validate(values).epochs == "auto"


def test_the_configuration_of_a_run_can_be_given_to_another(tmp_path: Path) -> None:
    config = RunConfig.model_validate(VALUES)
    assert dotted_paths(RunConfig) == dotted_paths(TrainConfig)
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(file=file).model_dump() == config.model_dump()


@pytest.mark.parametrize(("size", "crop"), [("32", (32, 32)), ("[32, 48]", (32, 48))])
def test_one_number_is_a_square_crop(size: str, crop: tuple[int, int]) -> None:
    values = load_config([*DECIDED, f"loader.crop_size={size}"]).model_dump()
    assert RunConfig.model_validate(values).loader.crop == crop


def _get(config: object, path: str) -> object:
    for name in path.split("."):
        config = getattr(config, name)
    return config
