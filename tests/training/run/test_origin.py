"""The command and the commit that a bundle names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from maskzoo.training.config.load import load_config
from maskzoo.training.run.origin import code_commit, run_command

DATA = Path("my data")


@pytest.mark.parametrize("program", ["/usr/local/bin/maskzoo", "/src/maskzoo/__main__.py"])
def test_the_command_is_the_one_that_was_typed(program: str) -> None:
    argv = [program, "train", "my data", "--arch", "unet", "--resume", "augment={blur: 0.1}"]
    expected = "maskzoo train 'my data' --arch unet 'augment={blur: 0.1}'"
    assert run_command(argv, DATA, load_config()) == expected


def test_a_run_from_python_gets_a_command_that_gives_the_same_configuration() -> None:
    given = [
        "model.architecture=unet",
        "model.encoder_weights=null",
        "optimizer.lr=1e-5",
        "loader.crop_size=[64, 96]",
        "augment.scale=[0.5, 1.5]",
        "model.options={channels: [8, 8, 8, 8]}",
        "runtime.deterministic=true",
    ]
    config = load_config(given)
    command = run_command(["script.py", "train", "x"], DATA, config)
    program, verb, data, *settings = shlex.split(command)
    assert [program, verb, data] == ["maskzoo", "train", "my data"]
    assert load_config(settings) == config
    assert len(settings) == len(given)


def test_the_defaults_need_no_settings() -> None:
    assert run_command([], DATA, load_config()) == "maskzoo train 'my data'"


def test_the_commit_is_that_of_this_checkout_or_unknown() -> None:
    commit = code_commit()
    assert commit is None or re.fullmatch(r"[0-9a-f]{40}(-dirty)?", commit)
