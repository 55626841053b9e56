"""Two nodes, as two network namespaces of this machine, train as one process does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from maskzoo.training.config.load import dump_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.runlog import read_log
from maskzoo.training.run.checkpoint import read_run_checkpoint
from maskzoo.training.run.fit import train

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = (
    "optimizer.lr=0.005",
    # What each of two processes sees; batch norms on the CPU are not shared between processes.
    "runtime.micro_batch=2",
    "model.options.dropout=0",
    "validate_every=2",
)


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[str, str]]:
    """The names of two network namespaces that reach each other at 10.118.0.1 and 10.118.0.2."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("needs root and ip (iproute2)")
    names = f"maskzoo{os.getpid()}a", f"maskzoo{os.getpid()}b"
    made = subprocess.run(["ip", "netns", "add", names[0]], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("network namespaces are not allowed here")
    try:
        _ip("netns", "add", names[1])
        _ip("link", "add", "node", "netns", names[0], "type", "veth", "peer", "name", "node",
            "netns", names[1])  # fmt: skip
        for number, name in enumerate(names, 1):
            _ip("-n", name, "addr", "add", f"10.118.0.{number}/24", "dev", "node")
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", "node", "up")
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def start(nodes: Sequence[str], data: Path, folder: Path, *options: str) -> list[subprocess.Popen]:
    """Start the command of `docs/training.md` on both nodes; their output goes to a file each."""
    started = []
    for number, node in enumerate(nodes, 1):
        torchrun = [
            "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1",
            "--rdzv-backend=c10d", "--rdzv-endpoint=10.118.0.1:29500", "--rdzv-id=run1",
            f"--local-addr=10.118.0.{number}", f"--rdzv-conf=is_host={str(number == 1).lower()}",
        ]  # fmt: skip
        words = ["maskzoo", "train", data, "--config", folder / "given.yaml", "-o", folder / "two"]
        command = [sys.executable, "-m", *torchrun, "-m", *map(str, words), *options]
        with (folder / f"node{number}.txt").open("a") as output:
            started.append(
                subprocess.Popen(
                    ["ip", "netns", "exec", node, *command],
                    cwd=ROOT,
                    env=os.environ
                    | {
                        "OMP_NUM_THREADS": "1",
                        "PYTHONPATH": str(ROOT),
                        "GLOO_SOCKET_IFNAME": "node",
                    },
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
    return started


def finish(processes: Sequence[subprocess.Popen], folder: Path) -> list[str]:
    """Wait for both nodes; return what each printed."""
    codes = [process.wait(300) for process in processes]
    printed = [(folder / f"node{number}.txt").read_text() for number in (1, 2)]
    assert codes == [0, 0], "\n".join(printed)[-4000:]
    return printed


def kill(process: subprocess.Popen) -> None:
    """Kill a node: torchrun and the processes that it started, which have sessions of their own."""
    for pid in [*_below(process.pid), process.pid]:
        os.kill(pid, signal.SIGKILL)


def _below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _below(int(child))
            yield int(child)


def losses(folder: Path) -> list[float]:
    return [row["loss"] for row in read_log(folder / "log.jsonl") if row["kind"] == "train"]


@pytest.mark.slow
def test_two_nodes_have_the_loss_curve_of_one_process_and_resume_exactly(
    nodes: tuple[str, str], discs: Path, tiny: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    settings = (*SETTINGS, "max_steps=20")
    one = train(discs, tiny(*settings), run_dir=tmp_path / "one").run_dir
    given = dump_config(tiny(*settings, "runtime.num_nodes=2"))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
        (folder / "given.yaml").write_text(given)

    printed = finish(start(nodes, discs, whole), whole)
    assert len(losses(whole / "two")) == 20
    assert losses(whole / "two") == pytest.approx(losses(one), rel=1e-4)
    assert ["bundle  " in text for text in printed] == [True, False], "the first process speaks"

    first, second = start(nodes, discs, killed)
    end = time.monotonic() + 200
    while not (log := killed / "two/log.jsonl").exists() or log.read_text().count('"train"') < 6:
        assert time.monotonic() < end, (killed / "node1.txt").read_text()[-4000:]
        time.sleep(0.01)
    kill(second)
    second.wait(60)
    assert first.wait(120) != 0, "the other node ends too, and does not wait for ever"
    assert read_run_checkpoint(killed / "two/last.ckpt").progress.step < 20, "it was too late"
    finish(start(nodes, discs, killed, "--resume"), killed)
    assert losses(killed / "two") == losses(whole / "two")
    weights = [read_run_checkpoint(folder / "two/last.ckpt").model for folder in (whole, killed)]
    assert all(weights[1][name].equal(value) for name, value in weights[0].items())
