"""The machine: cores, GPUs and memory that this process may use.

In a container these are its limits, not what the host has: `docker run --cpus 2 --memory 8g` leaves
all cores visible, and a thread for each of them would wait for the others.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED_BYTES = 2**30
"""Loader workers hand batches over in shared memory; docker gives a container 64 MB."""

_BYTES_PER_WORKER = 2**27  # two batches that wait, of 64 MiB: 21 float32 images of 512 x 512
_MOST_WORKERS, _MOST_WORKERS_OF_GPU = 8, 16
_CGROUP = Path("/sys/fs/cgroup")
_MEMORY_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of cgroup v2 and v1
_QUOTAS = ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")  # of v1; v2 has both in cpu.max


@dataclass(frozen=True)
class Machine:
    """What decides the defaults of a machine.

    Args:
        cores: that this process may use.
        gpus: CUDA devices for networks.
        memory_bytes: that this process may use; None where the system does not say.
        shared_bytes: size of /dev/shm; None where there is none.
    """

    cores: int
    gpus: int = 0
    memory_bytes: int | None = None
    shared_bytes: int | None = None


@dataclass(frozen=True)
class Default:
    """A default value and the reason for it."""

    value: int
    reason: str


def measure_machine(device: str = "auto") -> Machine:
    """Measure this machine.

    Args:
        device: of the networks; on ``cpu`` no GPU counts, on ``cuda:1`` only this one.
    """
    gpus = 0 if device == "cpu" else _count_gpus()
    return Machine(
        cores=count_cores(),
        gpus=min(gpus, 1) if device.startswith("cuda:") else gpus,
        memory_bytes=_memory_bytes(),
        shared_bytes=shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None,
    )


def count_cores(cgroup: Path = _CGROUP) -> int:
    """Return the cores that this process may use, by its affinity and its container's quota.

    Args:
        cgroup: folder of the control group.
    """
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    quota = _numbers(cgroup, ["cpu.max"]) or _numbers(cgroup, _QUOTAS)
    if len(quota) == 2 and min(quota) > 0:
        cores = min(cores, max(1, math.ceil(quota[0] / quota[1])))
    return cores


def loader_workers(machine: Machine) -> Default:
    """Return the number of processes that read the data of a training."""
    most, cores = _MOST_WORKERS, machine.cores // 2
    reason = f"half of {machine.cores} CPU cores; the network needs the others"
    if machine.gpus:
        most, cores = _MOST_WORKERS_OF_GPU, machine.cores // machine.gpus - 2
        reason = f"all but two of {machine.cores} CPU cores for {machine.gpus} GPU(s)"
    workers = min(most, max(1, cores))
    shared = machine.shared_bytes
    room = workers if shared is None else shared // _BYTES_PER_WORKER // max(1, machine.gpus)
    if room >= workers:
        return Default(workers, f"{reason}, at most {most}")
    assert shared is not None, "without shared memory there is no limit"
    return Default(room, f"each needs 128 MiB, and {SHARED_MEMORY} has {shared >> 20}")


def warn_of_shared_memory(machine: Machine) -> str | None:
    """Return a warning where /dev/shm is too small for loader workers."""
    if machine.shared_bytes is None or machine.shared_bytes >= LEAST_SHARED_BYTES:
        return None
    return (
        f"{SHARED_MEMORY} has {machine.shared_bytes >> 20} MiB, and loader workers of a training "
        "need about 1 GiB: docker run --shm-size=1g, or shm_size: 1g in the compose file"
    )


def _memory_bytes(cgroup: Path = _CGROUP) -> int | None:
    """Return the memory of the machine, or of the container where that is less."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return None
    limits = [value for name in _MEMORY_LIMITS for value in _numbers(cgroup, [name])]
    return min([total, *(limit for limit in limits if limit > 0)])


def _numbers(folder: Path, names: Sequence[str]) -> list[int]:
    """Return all numbers of some files, in order; none if one is missing or says `max`."""
    try:
        return [int(word) for name in names for word in (folder / name).read_text().split()]
    except (OSError, ValueError):
        return []


def _count_gpus() -> int:
    """Count CUDA devices; imports torch only where a driver is loaded."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
