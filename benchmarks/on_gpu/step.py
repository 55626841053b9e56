"""Training steps beside a plain smp loop in bfloat16 with channels last."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from on_gpu.setup import Row, Setup, cleared, reason, shown
from page import table
from steps import compare_steps, open_run, write_data

_CASES = (  # network, crop, batch, and how our step is launched; the most telling first
    ("deeplabv3plus/resnet50", 512, 16, "captured"),
    ("unet/resnet18", 288, 16, "captured"),
    ("danet/resnet50", 352, 16, "captured"),
    ("deeplabv3plus/resnet50", 512, 16, "eager"),
    ("unet/resnet18", 288, 16, "eager"),
    ("deeplabv3plus/resnet50", 512, 16, "compiled"),
)


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each network and way to launch its step."""
    with tempfile.TemporaryDirectory() as folder:
        data = write_data(Path(folder), count=8)
        for pair, crop, batch, step in _CASES[4:] if setup.quick else _CASES:
            if setup.is_late:
                return
            if setup.quick:
                pair, crop, batch = "unet/tu-resnet10t", 64, 2
            if setup.device.type == "cpu" and step == "captured":
                step = "auto"
            with cleared():
                row: Row = {"network": pair, "crop": crop, "batch": batch, "step": step}
                try:
                    row |= _one(setup, data, row)
                except Exception as error:
                    row["error"] = reason(error)
                yield row


def _one(setup: Setup, data: Path, row: Row) -> Row:
    config, context = open_run(
        data,
        f"runtime.accelerator={setup.device.type}",
        f"runtime.step={row['step']}",
        f"loader.crop_size={row['crop']}",
        f"batch_size={row['batch']}",
        f"runtime.micro_batch={row['batch']}",
    )
    found = compare_steps(config, context, str(row["network"]), steps=1 if setup.quick else 3)
    return {
        "plain": found.plain,
        "ours": found.ours,
        "ratio": found.ratio,
        "peak_mib": found.mib,
        "step": config.runtime.step,
    }


def text(rows: list[Row]) -> str:
    """Return the table."""
    lines = []
    for row in rows:
        rates = [shown(row.get(key), 0) for key in ("plain", "ours")]
        ratio = row.get("ratio")
        lines.append(
            (
                row["network"],
                row["crop"],
                row["batch"],
                row["step"],
                *rates,
                f"{ratio:.2f}x" if isinstance(ratio, float) else shown(None),
                shown(row.get("peak_mib"), 0),
                row.get("error", ""),
            )
        )
    return table(
        (
            "network",
            "crop",
            "batch",
            "`runtime.step`",
            "plain smp loop, images/s",
            "maskzoo, images/s",
            "ratio",
            "peak, MiB",
            "note",
        ),
        lines,
    )
