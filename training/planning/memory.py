"""Memory of a training step, measured, and the memory available.

The measurement runs forward, loss and backward on zeros, first with one image and then with two, on
a copy of the network. Their difference is the memory of each further image. The states of the
optimizer and the average of the weights are not allocated, but added by their size.
"""

from __future__ import annotations

import copy
import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from maskzoo.models.memory import is_out_of_memory
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.training.config.run_config import MachineConfig
from maskzoo.training.losses.teacher import Teacher
from maskzoo.training.losses.total import SegmentationLoss

FILLED = 0.8  # fraction of the free memory that a plan may fill
_LIMITS = (  # of a container: (bytes allowed, bytes in use), cgroup v2 and v1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


@dataclass(frozen=True)
class StepMemory:
    """Memory that a step needs and that the device has, in bytes.

    Attributes:
        fixed: needed for any number of images, with optimizer and average.
        per_image: needed for each image of a micro-batch.
        free: left on the device for the run.
    """

    fixed: int
    per_image: int
    free: int

    @property
    def images(self) -> int:
        """Number of images that fit at once by this measurement; 0 if not even one does."""
        return max(0, int(FILLED * self.free - self.fixed) // max(1, self.per_image))

    def text(self) -> str:
        """Return the measurement in words."""
        needs = f"{self.fixed >> 20} MiB and {self.per_image >> 20} MiB an image"
        return f"a step was measured: {needs}, of {self.free >> 20} MiB that are free"


Measure = Callable[[MachineConfig, tuple[int, int]], StepMemory | None]
"""Measures a step on crops of a height and width; None where the system does not report it."""


def measure_step(
    network: SegmentationNetwork,
    loss: SegmentationLoss,
    config: MachineConfig,
    *,
    crop: tuple[int, int],
    device: torch.device,
    teacher: Teacher | None = None,
) -> StepMemory | None:
    """Measure the memory of a step; None if the system does not report it.

    Args:
        network, loss: on `device`; not modified.
        config: of precision, optimizer and average.
        crop: height and width of an image.
        device: of the run.
        teacher: sees the images too.
    """
    free = free_bytes(device)
    if free is None:
        return None
    state = _state(network, config)
    trial = copy.deepcopy(network).train()

    def step(images: int) -> Callable[[], None]:
        shape = (images, network.spec.in_channels, *crop)
        return lambda: _step(trial, loss, config, shape, device, teacher)

    try:
        one, two = (_peak(step(images), device) for images in (1, 2))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return StepMemory(state, free, free)
    if one is None or two is None:
        return None
    # On a CPU the measurement is coarse: the second image may seem free, because the allocator
    # reuses memory of the first step. Then an eighth of the peak is assumed.
    per_image = max(two - one, two // 8)
    return StepMemory(max(0, two - 2 * per_image) + state, per_image, free)


def _state(network: SegmentationNetwork, config: MachineConfig) -> int:
    """Return the bytes of the optimizer's states and of the average."""
    trained = sum(item.nbytes for item in network.parameters() if item.requires_grad)
    everything = sum(item.nbytes for item in network.state_dict().values())
    moments = 2 if config.optimizer.name == "adamw" else 1
    return moments * trained + (everything if config.ema else 0)


def _step(
    network: SegmentationNetwork,
    loss: SegmentationLoss,
    config: MachineConfig,
    shape: tuple[int, ...],
    device: torch.device,
    teacher: Teacher | None,
) -> None:
    layout = torch.channels_last if config.runtime.channels_last else torch.contiguous_format
    images = torch.zeros(shape, device=device).contiguous(memory_format=layout)
    target = torch.zeros((shape[0], *shape[2:]), dtype=torch.int64, device=device)
    bf16 = config.runtime.precision == "bf16"
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        output = network.forward_train(images)
        answer = None if teacher is None else teacher.answer(images.to(torch.uint8))
    value = loss(output, target)[0]
    if teacher is not None and answer is not None:
        value = value + teacher.loss(answer, output)[0]
    value.backward()
    network.zero_grad(set_to_none=True)


def _peak(work: Callable[[], None], device: torch.device) -> int | None:
    """Return the peak growth of memory during `work`."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    _trim()
    start = _resident("VmRSS")
    if start is None or not _reset_peak():
        return None
    work()
    peak = _resident("VmHWM")
    return None if peak is None else max(0, peak - start)


def _trim() -> None:
    """Release memory that the C library keeps, else a step would seem to need none."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # another C library
        return


def _reset_peak() -> bool:
    """Reset the kernel's record of the process's peak memory (Linux)."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident(field: str) -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(field)), None)


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of `device`; None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return free_ram() if device.type == "cpu" else None


def free_ram() -> int | None:
    """Return the free main memory, within the limit of a container."""
    amounts = [_available()]
    for limit, usage in _LIMITS:
        allowed, used = _number(limit), _number(usage)
        if allowed is not None and used is not None and allowed < 1 << 60:  # else it is unlimited
            amounts.append(allowed - used)
    known = [amount for amount in amounts if amount is not None]
    return min(known, default=None)


def _available() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        names = os.sysconf_names
        if "SC_AVPHYS_PAGES" not in names or "SC_PAGE_SIZE" not in names:
            return None
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return next(
        (1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), None
    )


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # the file is absent, or says "max"
        return None
