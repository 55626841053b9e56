"""A run of a few steps, all the way to its bundle, and what it tells of the run itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.run.dry_run import dry_run

MakeConfig = Callable[..., TrainConfig]


def test_a_dry_run_goes_the_whole_way_and_says_what_the_run_would_cost(
    discs: Path,
    tiny: MakeConfig,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
) -> None:
    config = tiny("max_steps=1000", "epochs=7")
    done = dry_run(discs, config, run_dir=tmp_path, display=display)
    assert done.run_dir == tmp_path / "dry-run"
    assert (done.bundle / "bundle.json").is_file()
    steps = [row["step"] for row in read_log(done.run_dir / "log.jsonl")]
    assert max(steps) == 14, "no more than the run itself has"
    assert "14 steps with validation" in shown()
    assert "the run itself: 14 steps, about 0:0" in shown()
    text = dry_run(discs, tiny("max_steps=900"), run_dir=tmp_path, display=display)
    assert read_log(text.run_dir / "log.jsonl")[-1]["step"] == 20
    assert "the run itself: 200 steps" in shown()
