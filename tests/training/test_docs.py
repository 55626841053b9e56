"""docs/training.md: its commands parse, its presets and keys exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from maskzoo import cli
from maskzoo.training.config.load import list_presets, load_config
from maskzoo.training.config.overrides import dotted_paths
from maskzoo.training.config.settings import TrainConfig

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [
    words[words.index("maskzoo") :]
    for line in "\n".join(BLOCKS).replace("\\\n", " ").splitlines()
    if "maskzoo" in (words := shlex.split(line, comments=True))
] + [shlex.split(text) for text in re.findall(r"`(maskzoo [a-z][^`]+)`", PAGE)]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_of_the_page_parses(words: list[str], tmp_path: Path) -> None:
    assert words[2] == "data"
    command = typer.main.get_command(cli.app).commands[words[1]]  # type: ignore[attr-defined]
    context = command.make_context(words[1], [str(tmp_path), *words[3:]])
    load_config(context.params.get("settings") or [])


def test_every_preset_is_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", PAGE, flags=re.MULTILINE)
    assert set(list_presets()) <= set(rows)


def test_every_automatic_value_is_on_the_page() -> None:
    config = TrainConfig().model_dump(exclude={"bundle", "model"})
    for path in dotted_paths(TrainConfig):
        value: object = config
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value == "auto":
            assert f"`{path}`" in PAGE or f"`{path.rpartition('.')[2]}`" in PAGE, path
