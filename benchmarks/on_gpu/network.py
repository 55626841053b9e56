"""The network alone: eager, as a captured graph, with the engine's copies, and others' forms."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from maskzoo import create_model
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.graphs.engine import CudaGraphsEngine
from maskzoo.models.engines.graphs.program import Program
from maskzoo.models.engines.precision import half_type
from maskzoo.models.network.network import SegmentationNetwork
from on_gpu.setup import CLASSES, PREPROCESSING, Row, Setup, cleared, reason, shown
from page import table

_NETWORKS = ("deeplabv3plus", "danet", "pspnet", "unet")


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each network and batch, and then those of smp's own network."""
    for name in _NETWORKS[: 2 if setup.quick else None]:
        for batch in setup.batches:
            if setup.is_late:
                return
            with cleared():
                row: Row = {"network": name, "batch": batch}
                try:
                    network = create_model(name, encoder=setup.encoder, num_classes=CLASSES).eval()
                    row |= _times(setup, network, batch)
                except Exception as error:
                    row["error"] = reason(error)
                yield row
        if name == "deeplabv3plus":
            yield from _smp(setup)


def _times(setup: Setup, network: SegmentationNetwork, batch: int) -> Row:
    """Return milliseconds of a batch in each form."""
    side, device = setup.side, setup.device
    found: Row = {}
    pixels = torch.randint(
        0, 256, (batch, side, side, 3), dtype=torch.uint8, device=device
    )  # (N, H, W, C)
    program = Program(network, PREPROCESSING, device=device, dtype=half_type(device))
    on = setup.graphs()
    stream = on.stream()
    graph = on.capture(lambda: program.masks(pixels), stream)
    found["graph_ms"] = setup.ms(graph.replay)
    del graph
    found |= _with_copies(setup, network, batch)
    values = torch.randn(batch, 3, side, side, device=device)
    with torch.inference_mode():
        plain = network.to(device)
        found["fp32_ms"] = setup.ms(lambda: plain(values), warm=1)
    eager = EagerEngine(network, in_channels=3, num_classes=CLASSES, device=str(device))
    found["eager_ms"] = setup.ms(lambda: eager.run(values))
    return found


def _with_copies(setup: Setup, network: SegmentationNetwork, batch: int) -> Row:
    """Return the time of the engine from images on the host to masks on the host."""
    engine = CudaGraphsEngine(network, PREPROCESSING, setup.graphs())
    images = [np.zeros((setup.side, setup.side, 3), np.uint8)] * batch
    engine.prepare((setup.side, setup.side), [batch])
    ms = setup.ms(lambda: engine.masks(images, confidence=False))
    return {"engine_ms": ms, "note": engine.failure or ""}


def _smp(setup: Setup) -> Iterator[Row]:
    """Yield the times of smp's DeepLabV3+ under autocast, as its users run it."""
    import segmentation_models_pytorch as smp

    encoder = "resnet18" if setup.quick else "resnet50"
    theirs: nn.Module = smp.DeepLabV3Plus(encoder, encoder_weights=None, classes=CLASSES)
    theirs = theirs.to(setup.device).eval()
    dtype = half_type(setup.device) or torch.bfloat16
    for batch in setup.batches:
        values = torch.randn(batch, 3, setup.side, setup.side, device=setup.device)
        with torch.inference_mode():
            fp32 = setup.ms(lambda: theirs(values), warm=1)  # noqa: B023
            with torch.autocast(setup.device.type, dtype):
                half = setup.ms(lambda: theirs(values))  # noqa: B023
        yield {"network": "smp's deeplabv3plus", "batch": batch, "eager_ms": half, "fp32_ms": fp32}


def text(rows: list[Row]) -> str:
    """Return the table."""
    head = (
        "network",
        "batch",
        "eager, 16 bits, ms",
        "one graph, ms",
        "engine with copies, ms",
        "float32 with TF32, ms",
        "images/s in a graph",
        "note",
    )
    lines = []
    for row in rows:
        graph, batch = row.get("graph_ms"), row["batch"]
        rate = 1e3 * batch / graph if isinstance(graph, float) and isinstance(batch, int) else None
        times = [shown(row.get(key)) for key in ("eager_ms", "graph_ms", "engine_ms", "fp32_ms")]
        note = row.get("error") or row.get("note") or ""
        lines.append((row["network"], batch, *times, shown(rate, 0), note))
    return (
        "Milliseconds of a batch of 512 x 512, ResNet-50, random weights. The graph goes from "
        "uint8 pixels to class ids and confidence on the device; the engine's time has the copies "
        "from and to the host in it.\n\n" + table(head, lines)
    )
