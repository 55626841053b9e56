"""The commands on data and settings: what they print, write and end with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskzoo import cli
from maskzoo.training.config.load import dump_config, load_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.run.checkpoint import read_run_checkpoint

MakeData = Callable[..., Path]


def run(*arguments: object) -> int:
    """Run `maskzoo` in this process and return its exit code."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return int(ended.value.code or 0)


def test_print_config_prints_what_load_config_reads_back(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--preset", "fast", "optimizer.lr=0.25", "--allow-bad", 3, "--print-config")
    assert run("train", discs, *words, "-o", tmp_path / "run") == 0
    (tmp_path / "printed.yaml").write_text(capsys.readouterr().out)
    expected = load_config(["optimizer.lr=0.25", "allow_bad=3"], preset="fast")
    assert load_config(file=tmp_path / "printed.yaml") == expected
    assert not (tmp_path / "run").exists()


def test_the_preview_is_drawn_with_the_settings_given(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, setting in (("plain", "augment.grey=0"), ("grey", "augment.grey=1")):
        words = ("loader.crop_size=32", "augment.colour=0", setting, "--samples", 2, "--draws", 1)
        assert run("augment-preview", discs, *words, "-o", tmp_path / f"{name}.png") == 0
    assert f"wrote {tmp_path / 'grey.png'}" in capsys.readouterr().out
    plain, grey = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("plain", "grey"))
    assert plain.shape == grey.shape
    assert not np.array_equal(plain, grey)


def test_the_preview_tells_all_mistakes_of_the_settings(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("augment.colur=1", "augment.scale=[2, 1]", "-o", tmp_path / "x.png")
    assert run("augment-preview", discs, *words) == 2
    told = capsys.readouterr().err
    assert "did you mean 'augment.colour'" in told
    assert "scale 2.0 … 1.0" in told


def _one_bad(number: int, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return image, mask[:20] if number == 3 else mask


def test_bad_samples_stop_a_run_with_their_cure_or_are_left_out_as_allowed(
    make_data: MakeData,
    tiny: Callable[..., TrainConfig],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = make_data(alter=_one_bad)
    file = tmp_path / "tiny.yaml"
    file.write_text(dump_config(tiny("max_steps=2")))
    words = ("train", root, "--config", file, "-o", tmp_path / "run")
    assert run(*words) == 2
    told = capsys.readouterr().err
    assert "mask 48 x 20, image 48 x 48" in told
    assert "--allow-bad 1" in told
    assert not (tmp_path / "run").exists()
    assert run(*words, "--allow-bad", 1) == 0
    assert "1 sample with errors left out: 03" in capsys.readouterr().out
    assert read_run_checkpoint(tmp_path / "run" / "last.ckpt").config["allow_bad"] == 1
    # It is remembered: by the run, and by the bundle for those who score it on the same data.
    assert run("train", root, "-o", tmp_path / "run", "--resume") == 0
    bundle = tmp_path / "run" / "bundle"
    assert run("evaluate", bundle, root) == 0
    # and the scores of another way of asking can be kept in its card
    before = json.loads((bundle / "bundle.json").read_text())["metrics"]
    assert run("evaluate", bundle, root, "--tta", "flip", "--save") == 0
    after = json.loads((bundle / "bundle.json").read_text())["metrics"]
    assert after["command"].endswith("--split test --tta flip")
    assert after["validation_mean_iou"] == before["validation_mean_iou"]
    assert "--tta flip" in (bundle / "README.md").read_text()


def test_inspect_counts_bad_samples_that_are_allowed_as_usable(make_data: MakeData) -> None:
    root = make_data(alter=_one_bad)
    assert run("inspect", root) == 2
    assert run("inspect", root, "--allow-bad", 1) == 0


@pytest.mark.parametrize(
    ("given", "key"), [("builtin", "encoder_weights"), ("nuclei", "start_from")]
)
def test_from_is_short_for_the_setting_that_takes_the_weights(
    discs: Path, capsys: pytest.CaptureFixture[str], given: str, key: str
) -> None:
    assert run("train", discs, "--from", given, "--print-config") == 0
    assert f"  {key}: {given}\n" in capsys.readouterr().out
