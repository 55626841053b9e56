"""What a process may use of a machine, and what follows for the loaders of a training."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maskzoo.models import machine
from maskzoo.models.machine import (
    Machine,
    count_cores,
    loader_workers,
    measure_machine,
    warn_of_shared_memory,
)

GIB = 2**30


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu.max": "max 100000"}, 8),
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "3200000 100000"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        ({"cpu.max": "words"}, 8),
    ],
)
@pytest.mark.usefixtures("eight_cores")
def test_the_quota_of_a_container_bounds_the_cores(
    tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert count_cores(tmp_path) == cores


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [("memory.max", "max", 1.0), ("memory/memory.limit_in_bytes", str(2**62), 1.0)],
)
def test_a_container_without_a_limit_has_the_machines_memory(
    tmp_path: Path, name: str, text: str, part: float
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert machine._memory_bytes(tmp_path) == machine._memory_bytes(tmp_path / "none")
    (tmp_path / name).write_text("1000000")
    assert machine._memory_bytes(tmp_path) == 1_000_000


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("auto", 2), ("cuda", 2), ("cuda:1", 1)])
def test_the_device_decides_which_gpus_count(
    monkeypatch: pytest.MonkeyPatch, device: str, gpus: int
) -> None:
    monkeypatch.setattr(machine, "_count_gpus", lambda: 2)
    assert measure_machine(device).gpus == gpus


def test_this_machine_is_measured() -> None:
    found = measure_machine("cpu")
    assert found.cores >= 1
    assert found.memory_bytes is None or found.memory_bytes > 2**20


@pytest.mark.parametrize(
    ("of", "workers", "reason"),
    [
        (Machine(1), 1, "half of 1 CPU cores"),
        (Machine(6, shared_bytes=8 * GIB), 3, "half of 6 CPU cores"),
        (Machine(64, shared_bytes=8 * GIB), 8, "at most 8"),
        (Machine(16, gpus=1, shared_bytes=8 * GIB), 14, "all but two of 16 CPU cores"),
        (Machine(128, gpus=8, shared_bytes=64 * GIB), 14, "for 8 GPU"),
        (Machine(128, gpus=1), 16, "at most 16"),
        (Machine(2, gpus=1), 1, "all but two"),
        (Machine(16, gpus=1, shared_bytes=GIB), 8, "/dev/shm has 1024"),
        (Machine(16, gpus=1, shared_bytes=64 * 2**20), 0, "/dev/shm has 64"),
    ],
)
def test_workers_follow_cores_and_shared_memory(of: Machine, workers: int, reason: str) -> None:
    found = loader_workers(of)
    assert found.value == workers
    assert reason in found.reason


def test_a_small_shared_memory_is_warned_of_with_its_cure() -> None:
    warning = warn_of_shared_memory(Machine(2, shared_bytes=64 * 2**20))
    assert warning is not None
    assert "64 MiB" in warning
    assert "--shm-size" in warning
    assert warn_of_shared_memory(Machine(2, shared_bytes=GIB)) is None
    assert warn_of_shared_memory(Machine(2)) is None
