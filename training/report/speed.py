"""Time and memory in the report."""

from __future__ import annotations

import os
import platform
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from maskzoo.training.report.log import TrainRecord

Fact = tuple[str, str]
"""What was measured, and the value with its unit."""


def speed_facts(
    train: Sequence[TrainRecord],
    *,
    weights: Path,
    seconds_per_image: float,
    image_pixels: Sequence[int],
) -> list[Fact]:
    """Return the facts about time and memory of a run.

    Args:
        train: its logged steps.
        weights: the file of its bundle.
        seconds_per_image: that a prediction took on this machine; 0 if it was not measured.
        image_pixels: the sizes of these images.
    """
    facts: list[Fact] = []
    if train:
        last = train[-1]
        facts.append(("training", f"{last.images_per_s:.1f} images/s"))
        facts.append(("waiting for data", f"{100 * last.wait_fraction:.1f} % of the training time"))
    if seconds_per_image and image_pixels:
        megapixels = float(np.mean(image_pixels)) / 1e6
        facts += [
            (
                "prediction here",
                f"{1000 * seconds_per_image:.0f} ms per image of {megapixels:.2f} MP",
            ),
            ("prediction rate", f"{megapixels / seconds_per_image:.2f} megapixels/s"),
        ]
    facts += _memory()
    if weights.is_file():
        facts.append(("weights on disk", f"{weights.stat().st_size / 1e6:.1f} MB"))
    facts.append(("machine", f"{_processor()}, {os.cpu_count()} cores"))
    return facts


def _memory() -> list[Fact]:
    unit = 1024 if sys.platform != "darwin" else 1  # ru_maxrss is in KiB, on macOS in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    facts = [("peak memory of this process", f"{peak / 2**30:.2f} GiB")]
    if torch.cuda.is_available():
        used = torch.cuda.max_memory_allocated()
        facts.append((f"peak memory on {torch.cuda.get_device_name()}", f"{used / 2**30:.2f} GiB"))
    return facts


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.is_file():
        for line in listing.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
