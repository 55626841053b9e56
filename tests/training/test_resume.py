"""A run that was killed and resumed is bit for bit the run that was not.

A seed decides at which steps runs are killed, so that a failure can be repeated.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import SpecError
from maskzoo.training.config.load import dump_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display, Status
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.run.checkpoint import (
    CheckpointError,
    read_run_checkpoint,
    write_run_checkpoint,
)
from maskzoo.training.run.fit import TrainResult, train
from maskzoo.training.run.interrupt import TrainingInterrupted

ROOT = Path(__file__).resolve().parents[2]
STEPS = 9
_SETTINGS = (f"max_steps={STEPS}", "validate_every=1", "optimizer.lr=0.01", "ema=0.9")
_KILLED_RUN = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from maskzoo.training.config.load import load_config
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.fit import train

class Killer(Display):
    def update(self, status):
        if status.step == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

train(Path(sys.argv[1]), load_config(file=Path(sys.argv[2])), run_dir=Path(sys.argv[3]),
      display=Killer(enabled=False))
"""

MakeConfig = Callable[..., TrainConfig]


class Stopped(BaseException):
    """Ends a run at once, as losing power would: nothing is saved on the way out."""


class Hook(Display):
    """Do something when the display is told of a step."""

    def __init__(self, step: int, action: Callable[[], None]) -> None:
        super().__init__(enabled=False)
        self._step = step
        self._action = action

    def update(self, status: Status) -> None:
        if status.step == self._step:
            self._action()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def config(tiny: MakeConfig) -> TrainConfig:
    """Nine steps, saved after every second; the last epoch is cut short."""
    return tiny(*_SETTINGS)


@pytest.fixture(scope="module")
def whole(
    discs: Path, config: TrainConfig, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """The run that nobody disturbs."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    result = train(discs, config, run_dir=tmp_path_factory.mktemp("whole"))
    torch.set_num_threads(threads)
    return result


def assert_same_run(run_dir: Path, whole: TrainResult) -> None:
    """Compare weights, average, optimizer, position, log and bundle, all bit for bit."""
    ours = read_run_checkpoint(run_dir / "last.ckpt")
    theirs = read_run_checkpoint(whole.run_dir / "last.ckpt")
    assert ours.progress == theirs.progress
    for kind in ("model", "ema"):
        first, second = getattr(ours, kind), getattr(theirs, kind)
        different = [name for name, value in second.items() if not torch.equal(first[name], value)]
        assert not different, kind
    torch.testing.assert_close(ours.optimizer, theirs.optimizer, rtol=0, atol=0)
    kept = ("kind", "step", "loss", "lr", "mean_iou")
    logs = [
        [{key: row.get(key) for key in kept} for row in read_log(folder / "log.jsonl")]
        for folder in (run_dir, whole.run_dir)
    ]
    assert logs[0] == logs[1]
    hashes = {
        read_manifest(folder / "bundle").weights_sha256 for folder in (run_dir, whole.run_dir)
    }
    assert len(hashes) == 1


def test_a_run_that_lost_power_at_any_of_several_steps_ends_the_same(
    discs: Path, config: TrainConfig, whole: TrainResult, tmp_path: Path
) -> None:
    steps = sorted(random.Random(0).sample(range(1, STEPS), 3))

    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train(discs, config, run_dir=tmp_path, display=Hook(steps[0], stop))
    for step in steps[1:]:
        with pytest.raises(Stopped):
            train(discs, run_dir=tmp_path, resume=True, display=Hook(step, stop))
    train(discs, run_dir=tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def _kill_and_resume(discs: Path, config: TrainConfig, folder: Path, *, step: int) -> Path:
    file, run_dir = folder / "given.yaml", folder / "run"
    file.write_text(dump_config(config))
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_RUN, str(discs), str(file), str(run_dir), str(step)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert read_run_checkpoint(run_dir / "last.ckpt").progress.step < STEPS
    train(discs, run_dir=run_dir, resume=True)
    return run_dir


def test_a_killed_process_resumes_to_the_same_weights(
    discs: Path, config: TrainConfig, whole: TrainResult, tmp_path: Path
) -> None:
    step = random.Random(1).randrange(1, STEPS)
    assert_same_run(_kill_and_resume(discs, config, tmp_path, step=step), whole)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_process_resumes_to_the_same_weights_with_workers(
    discs: Path, tiny: MakeConfig, whole: TrainResult, tmp_path: Path, workers: int
) -> None:
    config = tiny(*_SETTINGS, f"loader.num_workers={workers}")
    step = random.Random(10 + workers).randrange(1, STEPS)
    assert_same_run(_kill_and_resume(discs, config, tmp_path, step=step), whole)


@pytest.mark.parametrize(
    ("number", "step"), [(signal.SIGTERM, 5), (signal.SIGINT, 5), (signal.SIGTERM, STEPS)]
)
def test_a_signal_saves_and_says_how_to_go_on(
    discs: Path,
    config: TrainConfig,
    whole: TrainResult,
    tmp_path: Path,
    number: signal.Signals,
    step: int,
) -> None:
    before = signal.getsignal(number)
    hook = Hook(step, lambda: os.kill(os.getpid(), number))
    with pytest.raises(TrainingInterrupted) as caught:
        train(discs, config, run_dir=tmp_path, display=hook)
    assert str(caught.value) == f"maskzoo train {discs} --out {tmp_path} --resume"
    assert read_run_checkpoint(tmp_path / "last.ckpt").progress.step == step
    assert signal.getsignal(number) is before
    train(discs, run_dir=tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_last_scoring_says_how_to_get_the_bundle(
    discs: Path,
    config: TrainConfig,
    whole: TrainResult,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
    number: signal.Signals,
) -> None:
    before = signal.getsignal(number)
    command = f"maskzoo train {discs} --out {tmp_path} --resume"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "maskzoo.training.run.fit.score_draft",
            lambda *_, **__: os.kill(os.getpid(), number),
        )
        with pytest.raises(TrainingInterrupted) as caught:
            train(discs, config, run_dir=tmp_path, display=display)
    assert str(caught.value) == command
    assert f"stopped after the last step, before all was written: {command}" in shown()
    assert not (tmp_path / "bundle").exists()
    assert signal.getsignal(number) is before
    train(discs, run_dir=tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_the_second_ctrl_c_ends_at_once(discs: Path, config: TrainConfig, tmp_path: Path) -> None:
    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        train(discs, config, run_dir=tmp_path, display=Hook(3, twice))
    assert not isinstance(caught.value, TrainingInterrupted)


def test_the_command_to_go_on_is_shown(
    discs: Path,
    config: TrainConfig,
    tmp_path: Path,
    display: Display,
    shown: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def update(status: Status) -> None:
        if status.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(display, "update", update)
    run_dir = tmp_path / "a run"
    with pytest.raises(TrainingInterrupted):
        train(discs, config, run_dir=run_dir, display=display)
    words = f"stopped at step 1; to go on: maskzoo train {discs} --out '{run_dir}' --resume"
    assert words in shown()


def test_a_finished_run_resumes_to_itself(
    discs: Path, config: TrainConfig, whole: TrainResult
) -> None:
    before = read_manifest(whole.bundle).weights_sha256
    again = train(discs, config, run_dir=whole.run_dir, resume=True)
    assert read_manifest(again.bundle).weights_sha256 == before


def test_another_configuration_is_refused_key_by_key(
    discs: Path, tiny: MakeConfig, whole: TrainResult
) -> None:
    other = tiny(*_SETTINGS, "optimizer.lr=0.5", "seed=4", "model.options.depth=1", "epochs=auto")
    with pytest.raises(SpecError, match="a resumed run keeps its configuration") as caught:
        train(discs, other, run_dir=whole.run_dir, resume=True)
    assert caught.value.mistakes == [
        "seed is 0 in this run, given 4",
        "model.options.depth is None in this run, given 1",
        "optimizer.lr is 0.01 in this run, given 0.5",
    ]


def test_a_run_of_another_version_is_refused(
    discs: Path, config: TrainConfig, whole: TrainResult, tmp_path: Path
) -> None:
    checkpoint = read_run_checkpoint(whole.run_dir / "last.ckpt")
    checkpoint.config["wings"] = 2
    write_run_checkpoint(tmp_path / "last.ckpt", checkpoint)
    with pytest.raises(CheckpointError, match="started by another version of maskzoo: wings: unkn"):
        train(discs, config, run_dir=tmp_path, resume=True)


def test_other_data_are_refused(
    make_data: Callable[..., Path], whole: TrainResult, config: TrainConfig
) -> None:
    root = make_data(alter=lambda number, image, mask: (255 - image, mask))
    with pytest.raises(CheckpointError, match="has changed since this run started"):
        train(root, config, run_dir=whole.run_dir, resume=True)


def test_a_torn_checkpoint_is_refused_and_the_one_before_resumes_to_the_same(
    discs: Path, config: TrainConfig, whole: TrainResult, tmp_path: Path
) -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train(discs, config, run_dir=tmp_path, display=Hook(7, stop))
    last = tmp_path / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"rename it to 'last\.ckpt' and resume"):
        train(discs, run_dir=tmp_path, resume=True)
    os.replace(tmp_path / "previous.ckpt", last)
    assert read_run_checkpoint(last).progress.step == 4
    train(discs, run_dir=tmp_path, resume=True)
    assert_same_run(tmp_path, whole)
