"""Batches on a real Ray of this machine: every image has one outcome, whatever dies."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray"),
]

ROOT = Path(__file__).resolve().parents[3]
NUM_IMAGES = 300

POISONED = """
import os, sys
from maskzoo import cli
from maskzoo.service.batch import run, worker

class Poisoned(worker.Worker):
    def segment(self, source):
        if "poison" in source.name:
            os.kill(os.getpid(), 9)
        return super().segment(source)

run.Worker = Poisoned
cli.main(sys.argv[1:])
"""

TWO_NODES = """
import subprocess, sys, time
from pathlib import Path
from ray.cluster_utils import Cluster

small = {"num_cpus": 1, "object_store_memory": 100 << 20}
cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
second = cluster.add_node(**small)
words = [sys.executable, "-m", "maskzoo", *sys.argv[1:], "--address", cluster.address]
command, out = subprocess.Popen(words), Path(sys.argv[sys.argv.index("-o") + 1])
while command.poll() is None and sum(1 for _ in out.rglob("masks/**/*.png")) < 60:
    time.sleep(0.1)
cluster.remove_node(second, allow_graceful=False)
code = command.wait()
cluster.shutdown()
sys.exit(code)
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and the processes that it killed."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny images, the same names in three sub-folders."""
    folder = tmp_path_factory.mktemp("many")
    draw = np.random.default_rng(0)
    for index in range(NUM_IMAGES):
        path = folder / "abc"[index % 3] / f"{index // 3:03}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(draw.integers(0, 255, (24, 32, 3), np.uint8)).save(path)
    return folder


def start(*arguments: object, code: str = "") -> subprocess.Popen[str]:
    """Start `maskzoo predict` in a process group of its own, with two cores and no noise."""
    entry = ["-c", code] if code else ["-m", "maskzoo"]
    words = ["predict", *map(str, arguments), "--engine", "torch", "--device", "cpu"]
    return subprocess.Popen(
        [sys.executable, *entry, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=400)
    return Ended(process.returncode, out, err)


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Yield the processes below one, and what each is called."""
    for child in children(pid):
        try:
            yield child, Path(f"/proc/{child}/cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue  # it has ended
        yield from descendants(child)


def children(pid: int) -> list[int]:
    try:
        tasks = [*Path(f"/proc/{pid}/task").iterdir()]
        return [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:
        return []


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    return [pid for pid, name in descendants(process.pid) if "MapWorker" in name]


def files_below(folder: Path) -> dict[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def wait_for_masks(process: subprocess.Popen[str], folder: Path, number: int) -> None:
    """Return when so many masks exist, or the process has ended."""
    while process.poll() is None and sum(1 for _ in folder.rglob("masks/**/*.png")) < number:
        time.sleep(0.05)


@pytest.fixture(scope="module")
def plain(many: Path, bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files that the plain command writes."""
    out = tmp_path_factory.mktemp("plain")
    ended = finish(start(bundle, many, "-o", out))
    assert ended.code == 0, ended.err
    return files_below(out)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def survivors(processes: dict[int, str]) -> dict[int, str]:
    """Return those that are alive after two minutes, in which Ray's agents miss their raylet."""
    end = time.monotonic() + 120
    while left := {pid: name for pid, name in processes.items() if is_alive(pid)}:
        if time.monotonic() > end:
            break
        time.sleep(0.2)
    return left


def test_workers_that_are_killed_lose_and_change_nothing(
    many: Path, bundle: Path, plain: dict[str, bytes], tmp_path: Path
):
    process = start(bundle, many, "--ray", "--workers", 2, "-o", tmp_path, "--json")
    draw, killed, seen = random.Random(0), [], dict[int, str]()

    def kill() -> None:
        while process.poll() is None:
            seen.update(descendants(process.pid))
            if len(killed) < 4 and (found := workers_of(process)):
                wait_for_masks(process, tmp_path, 10 + 60 * len(killed))
                victim = draw.choice(workers_of(process) or found)
                os.kill(victim, signal.SIGKILL)
                killed.append(victim)
            time.sleep(0.2)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    ended = finish(process)
    killer.join()
    assert ended.code == 0, ended.err
    assert len(killed) >= 3
    outcomes = json.loads(ended.out)
    assert len(outcomes) == len({outcome["image"] for outcome in outcomes}) == NUM_IMAGES
    assert files_below(tmp_path) == plain
    assert not survivors(seen), "the cluster ends with the command"


def test_a_run_that_was_killed_is_continued(
    many: Path, bundle: Path, plain: dict[str, bytes], tmp_path: Path
):
    process = start(bundle, many, "--ray", "--workers", 2, "-o", tmp_path)
    wait_for_masks(process, tmp_path, 60)
    cluster = dict(descendants(process.pid))
    process.kill()
    process.communicate()
    assert not survivors(cluster), "the cluster ends with the command, even if that is killed"
    whole = {name: data for name, data in files_below(tmp_path).items() if ".parts" not in name}
    assert whole.items() <= plain.items(), "what exists is whole"
    ended = finish(start(bundle, many, "--ray", "--workers", 2, "-o", tmp_path, "--json"))
    assert ended.code == 0, ended.err
    kept = [outcome["was_kept"] for outcome in json.loads(ended.out)]
    assert len(kept) == NUM_IMAGES
    assert sum(kept) >= 60
    assert files_below(tmp_path) == plain


def test_a_cluster_that_loses_a_node_goes_on(
    many: Path, bundle: Path, plain: dict[str, bytes], tmp_path: Path
):
    words = bundle, many, "--ray", "--workers", 2, "-o", tmp_path
    ended = finish(start(*words, code=TWO_NODES))
    assert ended.code == 0, ended.err
    assert " kept, 0 failed" in ended.err, "a block that ran twice keeps what it had written"
    assert files_below(tmp_path) == plain


def test_an_image_that_kills_its_worker_fails_alone(many: Path, bundle: Path, tmp_path: Path):
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    for index in range(40):
        name = "poison.png" if index == 17 else f"{index:02}.png"
        (images / name).write_bytes((many / "a" / f"{index:03}.png").read_bytes())
    (images / "bad.png").write_bytes(b"this is no image")
    ended = finish(start(bundle, images, "--ray", "--workers", 2, "-o", out, code=POISONED))
    assert ended.code == 2
    assert "39 written, 0 kept, 2 failed" in ended.err
    lines = (out / "failures.jsonl").read_text().splitlines()
    failures = {Path(each["image"]).name: each["error"] for each in map(json.loads, lines)}
    assert failures.keys() == {"bad.png", "poison.png"}
    assert "4 workers died while it was segmented" in failures["poison.png"]
    assert len([*(out / "masks").iterdir()]) == 39
