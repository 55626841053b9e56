"""The configuration: where values come from, and what is said about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from maskzoo.models.errors import SpecError, UnknownNameError
from maskzoo.training.config.overrides import parse_value
from maskzoo.training.config.settings import TrainConfig, dump_config, list_presets, load_config


def test_defaults_leave_what_depends_on_the_data_to_the_plan() -> None:
    config = load_config()
    assert config == TrainConfig()
    assert (config.batch_size, config.optimizer.lr, config.loader.crop_size) == ("auto",) * 3


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
    assert "max_steps: the value '[1' is no YAML" in text
    assert len(caught.value.mistakes) == 8


def test_a_key_in_the_wrong_section_is_found() -> None:
    with pytest.raises(SpecError, match=r"lr: unknown key; did you mean 'optimizer\.lr'"):
        load_config(["lr=0.1"])


def test_a_single_value_has_no_keys_below_it() -> None:
    with pytest.raises(SpecError, match="'epochs' is a single value, not a section"):
        load_config(["epochs=3", "epochs.first=1"])


def test_a_section_cannot_be_replaced_by_a_value() -> None:
    with pytest.raises(SpecError, match=r"model: .*given 'danet'"):
        load_config(["model=danet"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("3", 3),
        ("auto", "auto"),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ("{a: true}", {"a": True}),
        ("tu-resnet18", "tu-resnet18"),
        ("nan", "nan"),
        ("inf", "inf"),
    ],
)
def test_values_are_yaml_and_1e3_is_a_number(text: str, value: object) -> None:
    assert parse_value(text) == value


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


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TrainConfig().epochs = 3  # type: ignore[misc]


@pytest.mark.parametrize("value", [".inf", ".nan", "inf", "-1"])
def test_a_rate_is_a_positive_number(value: str) -> None:
    with pytest.raises(SpecError, match=r"optimizer\.lr: "):
        load_config([f"optimizer.lr={value}"])


def test_a_wrong_loss_term_is_named_by_its_place() -> None:
    with pytest.raises(SpecError, match=r"loss\.terms\.0") as caught:
        load_config(["loss.terms=[{name: dise}]"])
    assert "'dice'" in str(caught.value)
