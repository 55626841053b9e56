"""The commands of docs/weights.md's section on mmsegmentation run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskzoo import cli
from tests.models.imports.mmseg import checkpoints

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "weights.md").read_text(encoding="utf-8")
LOADING = {("zoo", "pull"), ("serve", "--bundles")}  # these need the network, or do not end


def section(title: str) -> str:
    """Return the text under a heading."""
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def commands(title: str) -> list[list[str]]:
    """Return the words of each maskzoo command of a section."""
    blocks = re.findall(r"^```bash\n(.*?)^```", section(title), flags=re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line) for block in blocks for line in block.splitlines()]
    return [words[1:] for words in lines if words and words[0] == "maskzoo"]


def run(*arguments: str) -> int:
    """Run `maskzoo` in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    return int(ended.value.code or 0)


def test_the_commands_on_mmsegmentation_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    state = {**checkpoints.resnet(), **checkpoints.fcn_head()}
    text = checkpoints.config().replace("mode='slide', crop_size=(128, 128), stride=(85, 85)", "")
    checkpoints.write(tmp_path / "tiny.pth", state, text)
    Image.fromarray(np.zeros((64, 80, 3), np.uint8)).save(tmp_path / "IMAGE.png")
    ran = []
    for words in commands("From mmsegmentation"):
        ours = ["tiny.pth" if word.endswith(".pth") else word for word in words]
        ours = ["IMAGE.png" if word == "IMAGE" else word for word in ours]
        extra = ["--help"] if tuple(words[:2]) in LOADING else []
        assert run(*ours, *extra) == 0, (words, capsys.readouterr().err)
        ran.append(words[0])
    assert {"import", "predict", "zoo", "serve"} == set(ran)
    assert (tmp_path / "predictions" / "masks" / "IMAGE.png").exists()
