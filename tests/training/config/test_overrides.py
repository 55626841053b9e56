"""Dotted settings: how values are read, and how each mistake is reported."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.training.config.load import load_config
from maskzoo.training.config.overrides import merge, parse_value


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


def test_a_wrong_loss_term_is_named_by_its_place() -> None:
    with pytest.raises(SpecError, match=r"loss\.terms\.0") as caught:
        load_config(["loss.terms=[{name: dise}]"])
    assert "'dice'" in str(caught.value)


def test_merging_replaces_values_and_keeps_the_rest_of_a_section() -> None:
    values = {"seed": 1, "model": {"encoder": "resnet18", "plugins": ["eca@encoder.4"]}}
    merge(values, {"model": {"plugins": []}, "bundle": {"name": "a"}})
    assert values == {
        "seed": 1,
        "model": {"encoder": "resnet18", "plugins": []},
        "bundle": {"name": "a"},
    }
