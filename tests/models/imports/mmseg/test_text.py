"""Configuration texts: read as data, never run."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.text import MAX_CHARACTERS, parse_config


def test_literals_and_dicts_are_read_and_other_assignments_are_passed_over():
    text = """
norm_cfg = open('/etc/passwd').read()
model = dict(type='A', head={'b': (1, -2.5, None, True)}, heads=[dict(c='d')])
crop_size = (512, 1024)
"""
    assert parse_config(text) == {
        "model": {"type": "A", "head": {"b": [1, -2.5, None, True]}, "heads": [{"c": "d"}]},
        "crop_size": [512, 1024],
    }


@pytest.mark.parametrize(
    "value",
    [
        "__import__('os').system('touch {path}')",
        "dict(a=open('{path}', 'w'))",
        "[x for x in (1,)]",
        "dict(**other)",
        "dict((('a', 1),))",
        "{{1: 2}}",
        "f'{{1}}'",
        "(lambda: 1)()",
    ],
)
def test_anything_else_in_the_model_is_refused_and_not_run(value, tmp_path):
    path = tmp_path / "made"
    with pytest.raises(WeightsError):
        parse_config(f"model = dict(a={value.format(path=path)})")
    assert not path.exists()


@pytest.mark.parametrize(
    "text",
    [
        "model = dict(",
        "x = 1",
        "model = 3",
        "\0",
        "model = " + "(" * 5000,
        "#" * MAX_CHARACTERS * 2,
    ],
)
def test_a_text_that_is_no_configuration_is_refused(text):
    with pytest.raises(WeightsError, match="configuration text"):
        parse_config(text)


def test_nesting_that_parses_but_is_too_deep_is_refused():
    with pytest.raises(WeightsError):
        parse_config("model = dict(a=" + "-" * 3000 + "1)")
