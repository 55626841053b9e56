"""Defaults of the service by the machine: cores, memory and device decide, with a reason each.

What an operator sets is never changed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from maskzoo.models.machine import Default, Machine

if TYPE_CHECKING:
    from maskzoo.service.settings import Settings

_MOST_IMAGE_THREADS = 16
_MOST_PROCESSES = 8

_BYTES_PER_PIXEL = 64  # as in `service.scheduling.cost`
_FRACTION_OF_IMAGES, _FRACTION_OF_BODIES = 4, 16  # a quarter of the memory, and a sixteenth


def machine_defaults(machine: Machine, engine: str = "auto") -> dict[str, Default]:
    """Return the defaults by the name of the setting.

    Args:
        engine: of the settings.
    """
    found = _on_gpu(machine, engine) if machine.gpus else _on_cpu(machine)
    pixels, bodies = (400_000_000, 2**30) if machine.gpus else (100_000_000, 2**28)
    memory = machine.memory_bytes
    most_pixels, most_bodies = pixels, bodies
    if memory is not None:
        most_pixels = memory // _FRACTION_OF_IMAGES // _BYTES_PER_PIXEL
        most_bodies = memory // _FRACTION_OF_BODIES
    found["queue_pixels"] = (
        Default(pixels, "as much as the network works off in time")
        if pixels <= most_pixels
        else Default(most_pixels, f"a quarter of {_gib(memory)}, {_BYTES_PER_PIXEL} bytes a pixel")
    )
    found["body_bytes"] = (
        Default(bodies, "uploads of some dozen clients")
        if bodies <= most_bodies
        else Default(most_bodies, f"a sixteenth of {_gib(memory)}")
    )
    return found


def _on_cpu(machine: Machine) -> dict[str, Default]:
    threads = min(_MOST_IMAGE_THREADS, max(2, machine.cores // 2))
    return {
        "processes": Default(1, "the network takes the cores that more processes would need"),
        "image_threads": Default(threads, "half of the cores; the network needs the others"),
        "network_threads": Default(1, "one run uses all cores"),
        "batch_items": Default(16, "the most; on a CPU larger batches are hardly faster"),
        "batch_pixels": Default(2**22, "the most; on a CPU larger batches are hardly faster"),
    }


def _on_gpu(machine: Machine, engine: str) -> dict[str, Default]:
    cores = machine.cores
    processes = min(_MOST_PROCESSES, max(1, (cores - 2) // 2))
    threads = min(_MOST_IMAGE_THREADS, max(2, cores - 2))
    graphs = engine in ("auto", "cuda-graphs")
    return {
        "processes": Default(
            processes,
            "two cores for each that decodes and encodes, and two for the one that has the GPU",
        ),
        "image_threads": Default(
            threads, "all cores but two: on 16 cores 14 threads gave a third more than 2"
        ),
        "network_threads": Default(3, "one batch is copied in, one runs, one is copied out")
        if graphs
        else Default(1, f"engine {engine} launches from Python, and more threads made it slower"),
        "batch_items": Default(
            64, "the most; how many run at once is measured, and stays below what pays"
        ),
        "batch_pixels": Default(2**24, "64 images of 512 x 512, or 8 of full HD"),
    }


def name_device(device: str, machine: Machine) -> str:
    """Return the device of the networks of one process as torch names it, such as ``cuda:0``.

    Args:
        device: of the settings.
    """
    if device == "auto":
        device = "cuda" if machine.gpus else "cpu"
    return "cuda:0" if device == "cuda" else device


def decide(settings: Settings, machine: Machine) -> Settings:
    """Return the settings with the machine's defaults where the operator set nothing."""
    defaults = machine_defaults(machine, settings.engine)
    return settings.model_copy(
        update={
            name: default.value for name, default in defaults.items() if is_open(settings, name)
        }
    )


def limit_threads(machine: Machine) -> None:
    """Let networks on the CPU use no more threads than the container has cores.

    torch, and OpenVINO after it, counts the cores of the host: with `docker run --cpus 2` on 64
    cores, 64 threads would be stopped together whenever they have used up the time of two.
    """
    import torch

    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > machine.cores:
        torch.set_num_threads(machine.cores)


def is_open(settings: Settings, name: str) -> bool:
    """Tell whether the operator left a setting to the machine."""
    return name not in settings.model_fields_set or getattr(settings, name) == "auto"


def _gib(count: int | None) -> str:
    return f"{(count or 0) / 2**30:.0f} GiB of memory"
