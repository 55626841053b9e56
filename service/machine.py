"""Defaults of the service by the machine: cores and device decide, with a reason each.

What an operator sets is never changed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskzoo.service.settings import Settings

SHARED_MEMORY = Path("/dev/shm")
LEAST_SHARED_BYTES = 2**30
"""Loader workers hand batches over in shared memory; docker gives a container 64 MB."""

_MOST_IMAGE_THREADS = 16


@dataclass(frozen=True)
class Machine:
    """What decides the defaults.

    Args:
        cores: that this process may use.
        has_gpu: whether networks run on CUDA.
        shared_bytes: size of /dev/shm; None where there is none.
    """

    cores: int
    has_gpu: bool
    shared_bytes: int | None = None


@dataclass(frozen=True)
class Default:
    """A default value and the reason for it."""

    value: int
    reason: str


def measure_machine(device: str = "auto") -> Machine:
    """Measure this machine.

    Args:
        device: of the settings; on ``cpu`` a GPU does not count.
    """
    shared = shutil.disk_usage(SHARED_MEMORY).total if SHARED_MEMORY.is_dir() else None
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    return Machine(cores, device != "cpu" and _has_gpu(), shared)


def machine_defaults(machine: Machine, engine: str = "auto") -> dict[str, Default]:
    """Return the defaults by the name of the setting.

    Args:
        engine: of the settings.
    """
    if not machine.has_gpu:
        threads = min(_MOST_IMAGE_THREADS, max(2, machine.cores // 2))
        return {
            "image_threads": Default(threads, "half of the cores; the network needs the others"),
            "network_threads": Default(1, "one run uses all cores"),
            "batch_items": Default(16, "on a CPU larger batches are no faster"),
            "batch_pixels": Default(2**22, "on a CPU larger batches are no faster"),
        }
    threads = min(_MOST_IMAGE_THREADS, max(2, machine.cores - 2))
    graphs = engine in ("auto", "cuda-graphs")
    return {
        "image_threads": Default(
            threads, "all cores but two: on 16 cores 14 threads gave a third more than 2"
        ),
        "network_threads": Default(3, "one batch is copied in, one runs, one is copied out")
        if graphs
        else Default(1, f"engine {engine} launches from Python, and more threads made it slower"),
        "batch_items": Default(
            32, "an H200 ran 800 images/s in batches of 8, and 1 156 in batches of 32"
        ),
        "batch_pixels": Default(2**24, "64 images of 512 x 512, or 8 of full HD"),
    }


def decide(settings: Settings, machine: Machine) -> Settings:
    """Return the settings with the machine's defaults where the operator set nothing."""
    defaults = machine_defaults(machine, settings.engine)
    return settings.model_copy(
        update={
            name: default.value
            for name, default in defaults.items()
            if name not in settings.model_fields_set
        }
    )


def warn_of_shared_memory(machine: Machine) -> str | None:
    """Return a warning where /dev/shm is too small for loader workers."""
    if machine.shared_bytes is None or machine.shared_bytes >= LEAST_SHARED_BYTES:
        return None
    return (
        f"{SHARED_MEMORY} has {machine.shared_bytes >> 20} MiB, and loader workers of a training "
        "need about 1 GiB: docker run --shm-size=1g, or shm_size: 1g in the compose file"
    )


def _has_gpu() -> bool:
    """Tell whether torch sees a CUDA device; imports torch only where a driver is loaded."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return False
    import torch

    return torch.cuda.is_available()
