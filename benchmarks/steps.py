"""A training step of ours beside that of a plain smp loop, taking turns on the same network.

The plain one is the loop of segmentation_models_pytorch's documentation: its Dice plus
cross-entropy, AdamW, gradient clipping. On a CPU it runs in fp32; on a GPU in bfloat16 autocast
with channels last, as people who mind speed write it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn

from maskzoo import create_model
from maskzoo.training.config.load import load_config
from maskzoo.training.config.run_config import RunConfig
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.planning.machine import choose_machine
from maskzoo.training.planning.memory import free_ram
from maskzoo.training.planning.plan import resolve
from maskzoo.training.planning.survey import survey
from maskzoo.training.run.build import make_step
from maskzoo.training.run.parts import RunContext
from maskzoo.training.steps.optim import WeightAverage, build_optimizer

CLASSES = 5
SIZE = (600, 800)
_BLOCK = 8  # steps of a GPU between two looks at the clock

Take = Callable[[Tensor, Tensor], object]


@dataclass(frozen=True)
class Rates:
    """What was measured of two steps.

    Attributes:
        plain, ours: images a second, by the median of the times.
        work: ratio of the processor's times.
        mib: peak memory of ours beyond what was there before; None on a CPU.
    """

    plain: float
    ours: float
    work: float
    mib: float | None

    @property
    def ratio(self) -> float:
        """How many times as fast ours is."""
        return self.ours / self.plain


def write_data(root: Path, count: int = 32) -> Path:
    """Write photographs of noise at many scales, with masks of discs."""
    rng = np.random.default_rng(0)
    for number in range(count):
        split = "train" if number < count * 3 // 4 else "val"
        image = sum(
            cv2.resize(rng.integers(0, 64, (SIZE[0] // s, SIZE[1] // s, 3), np.uint8), SIZE[::-1])
            for s in (4, 20, 100)
        )
        mask = np.zeros(SIZE, np.uint8)
        for label in range(1, CLASSES):
            for _ in range(6):
                centre = (int(rng.integers(SIZE[1])), int(rng.integers(SIZE[0])))
                cv2.circle(mask, centre, int(rng.integers(20, 80)), label, -1)
        for kind, suffix, pixels in (("images", "jpg", image), ("masks", "png", mask)):
            path = root / kind / split / f"{number:03}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
    return root


def open_run(root: Path, *given: str) -> tuple[RunConfig, RunContext]:
    """Return the plan of a run on the data at `root` with these settings, and its surroundings."""
    data = open_dataset(root)
    seen = survey(data)
    machine = choose_machine(load_config(["optimizer.lr=1e-4", *given]))
    config = resolve(machine, seen, free_ram=free_ram()).config
    runtime = config.runtime
    precision = "bf16-mixed" if runtime.precision == "bf16" else "32-true"
    if runtime.accelerator == "cuda":
        torch.set_float32_matmul_precision("high")
    fabric = Fabric(accelerator=runtime.accelerator, devices=1, precision=precision)
    return config, RunContext(data, seen, root, fabric, Display(enabled=False), command="")


def plain_step(network: nn.Module, device: torch.device) -> Take:
    """Return a plain training step on normalised float images."""
    import segmentation_models_pytorch as smp

    on_gpu = device.type == "cuda"
    network = network.to(device).train()
    if on_gpu:
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    dice = smp.losses.DiceLoss("multiclass", ignore_index=255)
    entropy = nn.CrossEntropyLoss(ignore_index=255)

    def step(images: Tensor, target: Tensor) -> None:
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16, enabled=on_gpu):
            logits = network(images)
            loss = entropy(logits, target) + 0.5 * dice(logits, target)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def our_step(config: RunConfig, context: RunContext, architecture: str, encoder: str) -> Take:
    """Return maskzoo's training step with its average of the weights, on uint8 images."""
    network = create_model(architecture, encoder=encoder, num_classes=CLASSES)
    network = network.to(context.fabric.device)
    if config.runtime.channels_last:
        network = network.to(memory_format=torch.channels_last)
    average = WeightAverage(network, decay=0.999)
    optimizer = build_optimizer(network, config.optimizer)
    step = make_step(config, context, network, optimizer)
    network.train()

    def take(images: Tensor, target: Tensor) -> None:
        step(images, target, micro_batch=len(images), seed=0)
        average.update(network, step=0)

    return take


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Return the time of `work` by the clock and by the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def compare_steps(config: RunConfig, context: RunContext, pair: str, *, steps: int) -> Rates:
    """Let both steps take turns on random images of the plan's crop and batch."""
    architecture, encoder = pair.split("/")
    device, batch, (crop, _) = context.fabric.device, config.batch_size, config.loader.crop
    block = _BLOCK if device.type == "cuda" else 1
    torch.manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, crop, crop), dtype=torch.uint8).to(device)
    target = torch.randint(0, CLASSES, (batch, crop, crop)).to(device)
    ready = (images.float() - 120) / 58
    if device.type == "cuda":
        ready = ready.contiguous(memory_format=torch.channels_last)
    plain = plain_step(create_model(architecture, encoder=encoder, num_classes=CLASSES), device)
    before = _allocated(device)
    ours = our_step(config, context, architecture, encoder)
    times: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    peak = None
    for number in range(steps + 1):
        for place, (take, pixels) in enumerate(((plain, ready), (ours, images))):

            def work(take: Take = take, pixels: Tensor = pixels) -> None:
                for _ in range(block):
                    take(pixels, target)
                _finish(device)

            _reset_peak(device)
            taken = seconds(work)
            if number:  # the first makes buffers, and captures
                times[place].append(taken)
            elif place and before is not None:
                peak = (torch.cuda.max_memory_allocated(device) - before) / 2**20
    clock = [statistics.median(row[0] for row in rows) / block for rows in times]
    processor = [statistics.median(row[1] for row in rows) for rows in times]
    return Rates(batch / clock[0], batch / clock[1], processor[0] / processor[1], peak)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _allocated(device: torch.device) -> int | None:
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else None


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
