"""Every architecture: eager and as a graph, and how far the graph is from float32."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from maskzoo import create_model
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.graphs.program import Program
from maskzoo.models.engines.pixels import Normalise
from maskzoo.models.engines.precision import half_type
from maskzoo.models.tables.architectures import ARCHITECTURES
from on_gpu.setup import CLASSES, PREPROCESSING, Row, Setup, cleared, reason, shown
from page import table


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each architecture."""
    for name in list(ARCHITECTURES)[: 2 if setup.quick else None]:
        if setup.is_late:
            return
        with cleared():
            row: Row = {"network": name}
            try:
                row |= _one(setup, name)
            except Exception as error:
                row["error"] = reason(error)
            yield row


@torch.inference_mode()
def _one(setup: Setup, name: str) -> Row:
    """Return the times of a batch of eight, and the deviation of the graph's logits."""
    batch, side, device = 1 if setup.quick else 8, setup.side, setup.device
    encoder = "mit_b0" if name == "segformer" else setup.encoder
    network = create_model(name, encoder=encoder, num_classes=CLASSES).eval()
    pixels = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8, device=device)
    program = Program(network, PREPROCESSING, device=device, dtype=half_type(device))
    on = setup.graphs()
    graph = on.capture(lambda: (program.logits(pixels),), on.stream())
    row: Row = {"graph_ms": setup.ms(graph.replay, warm=2)}
    found = graph.outputs[0].float()
    values = Normalise(PREPROCESSING.mean, PREPROCESSING.std, device=device, channels_last=False)(
        pixels.permute(0, 3, 1, 2)
    )  # (N, C, H, W)
    wanted = network.to(device).forward_coarse(values).float()
    row["is_finite"] = bool(found.isfinite().all())
    row["deviation"] = float((found - wanted).square().mean().sqrt() / wanted.std())
    eager = EagerEngine(network, in_channels=3, num_classes=CLASSES, device=str(device))
    row["eager_ms"] = setup.ms(lambda: eager.run(values), warm=2)
    return row


def text(rows: list[Row]) -> str:
    """Return the table."""
    lines = []
    for row in rows:
        deviation = row.get("deviation")
        percent = f"{deviation:.1%}" if isinstance(deviation, float) else shown(None)
        note = row.get("error") or ("" if row.get("is_finite") else "not finite")
        times = [shown(row.get(key)) for key in ("eager_ms", "graph_ms")]
        lines.append((row["network"], *times, percent, note))
    return (
        "A batch of 8 of 512 x 512 on a ResNet-50 (SegFormer: MiT-B0), random weights. The "
        "deviation is that of the graph's logits in 16 bits from float32's, root mean square, by "
        "their spread.\n\n"
        + table(("network", "eager, ms", "one graph, ms", "deviation", "note"), lines)
    )
