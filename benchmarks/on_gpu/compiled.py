"""The network compiled by TorchInductor: how long it takes, and what it gains."""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from maskzoo import create_model
from maskzoo.models.engines.compiled import CompiledEngine
from on_gpu.setup import CLASSES, Row, Setup, cleared, reason, shown
from page import table


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each batch of DeepLabV3+."""
    for batch in setup.batches[:2]:
        if setup.is_late:
            return
        with cleared():
            row: Row = {"network": "deeplabv3plus", "batch": batch}
            try:
                network = create_model(
                    "deeplabv3plus", encoder=setup.encoder, num_classes=CLASSES
                ).eval()
                engine = CompiledEngine(network, network.spec, device=str(setup.device))
                values = torch.randn(batch, 3, setup.side, setup.side)
                begin = time.perf_counter()
                engine.run(values)
                setup.wait()
                row["first_s"] = time.perf_counter() - begin
                values = values.to(setup.device)
                row["ms"] = setup.ms(lambda: engine.run(values))  # noqa: B023
            except Exception as error:
                row["error"] = reason(error)
            yield row


def text(rows: list[Row]) -> str:
    """Return the table."""
    lines = [
        (
            row["network"],
            row["batch"],
            shown(row.get("first_s"), 1),
            shown(row.get("ms")),
            row.get("error", ""),
        )
        for row in rows
    ]
    return table(("network", "batch", "first run, s", "engine `torch-compile`, ms", "note"), lines)
