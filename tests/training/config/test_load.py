"""Where the values of a configuration come from, and how mistakes are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.training.config.load import dump_config, list_presets, load_config
from maskzoo.training.config.settings import TrainConfig


def test_a_later_source_wins_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("epochs: 7\nmodel: {encoder: resnet18}\nschedule: {warmup: 0.1}\n")
    config = load_config(["model.encoder=resnet34", "schedule.power=2"], file, preset="fast")
    assert config.epochs == 7
    assert config.model.encoder == "resnet34"
    assert config.model.architecture == "deeplabv3plus"  # of the preset
    assert (config.schedule.name, config.schedule.warmup, config.schedule.power) == (
        "onecycle",
        0.1,
        2.0,
    )


def test_all_mistakes_are_told_at_once_with_suggestions() -> None:
    overrides = ["optimizer.head_lr_mul=10", "epoch=3", "batch_size=0", "ema=2", "seed", "a.=1"]
    with pytest.raises(SpecError) as caught:
        load_config([*overrides, "optimizer.name=adam", "max_steps=[1"])
    text = str(caught.value)
    assert "did you mean 'optimizer.head_lr_mult'" in text
    assert "epoch: unknown key; did you mean 'epochs'" in text
    assert "batch_size: " in text
    assert "given 0" in text
    assert "ema: " in text
    assert "setting 'seed' must read key=value" in text
    assert "setting 'a.=1' must read key=value" in text
    assert "optimizer.name" in text
    assert "'adam'" in text
    assert "max_steps: the value '[1' is not YAML" in text
    assert len(caught.value.mistakes) == 8


def test_yaml_gives_back_an_equal_configuration(tmp_path: Path) -> None:
    config = load_config(
        [
            "optimizer.lr=1e-5",
            "loader.crop_size=[64, 96]",
            "loss.terms=[{name: ce, label_smoothing: 0.1}, {name: dice, weight: 2}]",
            "loss.class_weights=[1, 2.5]",
            "model.plugins=['eca@encoder.4:kernel=3']",
            "augment.extra=[{name: GaussNoise, p: 0.1}]",
            "ema=null",
        ],
        preset="paper",
    )
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert load_config(file=file) == config


@pytest.mark.parametrize("name", list_presets())
def test_presets_are_valid(name: str) -> None:
    assert load_config(preset=name) != TrainConfig()


@pytest.mark.parametrize("path", sorted(Path("training/recipes").glob("*.yaml")), ids=str)
def test_recipes_are_valid(path: Path) -> None:
    assert load_config(file=path).bundle.name == path.stem


def test_an_unknown_preset_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="unknown preset 'fats'; did you mean 'fast'"):
        load_config(preset="fats")


@pytest.mark.parametrize(
    ("content", "words"),
    [("[1, 2]", "must hold keys and values"), ("a: [", "run.yaml"), ("epochs: x", "epochs: ")],
)
def test_a_bad_file_is_refused(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(content)
    with pytest.raises(SpecError, match=words):
        load_config(file=file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="No such file"):
        load_config(file=tmp_path / "none.yaml")


def test_yaml_tags_run_no_code(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("seed: !!python/object/apply:os.getpid []\n")
    with pytest.raises(SpecError, match="python/object"):
        load_config(file=file)
