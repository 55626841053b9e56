"""Attention at street size: time and memory of one image, which must not hold N x N scores."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from maskzoo import create_model
from maskzoo.models.engines.eager import EagerEngine
from on_gpu.setup import CLASSES, Row, Setup, cleared, reason, shown
from page import table

_NETWORKS = ("danet", "nonlocal", "ccnet", "emanet", "psanet", "isanet")


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each network."""
    height, width = (64, 128) if setup.quick else (1024, 2048)
    for name in _NETWORKS[: 2 if setup.quick else None]:
        if setup.is_late:
            return
        with cleared():
            row: Row = {"network": name}
            try:
                network = create_model(name, encoder=setup.encoder, num_classes=CLASSES)
                engine = EagerEngine(
                    network, in_channels=3, num_classes=CLASSES, device=str(setup.device)
                )
                values = torch.randn(1, 3, height, width, device=setup.device)
                row["peak_mib"] = setup.peak_mib(lambda: engine.run(values))  # noqa: B023
                row["ms"] = setup.ms(lambda: engine.run(values), warm=1)  # noqa: B023
            except Exception as error:
                row["error"] = reason(error)
            yield row


def text(rows: list[Row]) -> str:
    """Return the table."""
    lines = [
        (row["network"], shown(row.get("ms")), shown(row.get("peak_mib"), 0), row.get("error", ""))
        for row in rows
    ]
    return "One image of 1024 x 2048, ResNet-50, eager in 16 bits.\n\n" + table(
        ("network", "ms", "peak beside the weights, MiB", "note"), lines
    )
