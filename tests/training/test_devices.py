"""Two processes on the CPU train as one process does with the same effective batch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.training.config.load import dump_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.run.checkpoint import read_run_checkpoint
from maskzoo.training.run.fit import train

ROOT = Path(__file__).resolve().parents[2]
_RUN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from maskzoo.training.config.load import load_config
from maskzoo.training.run.fit import train
train(Path(sys.argv[1]), load_config(file=Path(sys.argv[2])), run_dir=Path(sys.argv[3]))
"""


def _two_processes(data: Path, config: TrainConfig, folder: Path) -> Path:
    """Run under torchrun; return the run's folder."""
    script, file, run_dir = folder / "run.py", folder / "given.yaml", folder / "two"
    script.write_text(_RUN)
    file.write_text(dump_config(config))
    # Port 0: the system chooses one that is free, and nobody can take it meanwhile.
    meet = ["--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node=2", *meet]
    done = subprocess.run(
        [sys.executable, *launch, str(script), str(data), str(file), str(run_dir)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return run_dir


@pytest.mark.slow
def test_two_processes_have_the_loss_curve_of_one(
    discs: Path, tiny: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    # A micro-batch of two in one process sees what each of two processes sees: batch norms on
    # the CPU are not shared between processes. Dropout would differ, as ranks draw their own.
    settings = (
        "max_steps=6",
        "optimizer.lr=0.005",
        "runtime.micro_batch=2",
        "model.options.dropout=0",
    )
    one = train(discs, tiny(*settings), run_dir=tmp_path / "one").run_dir
    two = _two_processes(discs, tiny(*settings, "runtime.devices=2"), tmp_path)
    logs = [read_log(folder / "log.jsonl") for folder in (one, two)]
    curves = [[row["loss"] for row in log if row["kind"] == "train"] for log in logs]
    assert len(curves[1]) == 6
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)
    counted = [[row["pixels_counted"] for row in log if row["kind"] == "val"] for log in logs]
    assert counted == [[3 * 48 * 48] * 2] * 2  # each process validates its share, once
    weights = [read_run_checkpoint(folder / "last.ckpt").model for folder in (one, two)]
    for name, value in weights[0].items():
        if "running" not in name and "tracked" not in name:
            assert (weights[1][name] - value).abs().max() < 1e-4, name
