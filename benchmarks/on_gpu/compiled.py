"""The graph of a network that Inductor has compiled ahead, beside that of the network itself.

What is compiled stays in the user's cache, where the service of the next part finds it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from maskzoo.models.bundles.bundle import load_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.graphs.engine import CudaGraphsEngine
from maskzoo.models.engines.graphs.fused import FusedForward
from maskzoo.models.engines.graphs.program import Forward
from maskzoo.models.export.fused import compile_program
from on_gpu.bundle import made_bundle
from on_gpu.setup import PREPROCESSING, Row, Setup, reason, shown
from page import table


def measure(setup: Setup) -> Iterator[Row]:
    """Yield the time of the compilation, and a row for each batch of DeepLabV3+."""
    bundle = made_bundle(setup)
    engine = CudaGraphsEngine(load_bundle(bundle).network, PREPROCESSING, setup.graphs())
    size = (setup.side, setup.side)
    plain = {batch: 1e3 * engine.seconds(size, batch) for batch in setup.batches}
    begin = time.perf_counter()
    try:
        fused = _compiled(setup, engine, read_manifest(bundle).weights_sha256)
    except Exception as error:
        yield {"error": reason(error)}
        return
    seconds = time.perf_counter() - begin
    engine.use(fused)
    for batch in setup.batches:
        ms = 1e3 * engine.seconds(size, batch)
        row: Row = {"batch": batch, "compile_s": seconds, "plain_ms": plain[batch], "fused_ms": ms}
        yield row | ({"error": engine.failure} if engine.failure else {})


def _compiled(setup: Setup, engine: CudaGraphsEngine, weights_sha256: str) -> Forward | None:
    """Return the compiled program; in a quick run, which has no time for it, the network itself."""
    if setup.quick:
        return None
    return FusedForward(compile_program(engine.program, weights_sha256), engine.network)


def text(rows: list[Row]) -> str:
    """Return the table."""
    lines = []
    for row in rows:
        ms, batch = row.get("fused_ms"), row.get("batch")
        rate = 1e3 * batch / ms if isinstance(ms, float) and isinstance(batch, int) else None
        times = (shown(row.get("plain_ms")), shown(ms), shown(rate, 0))
        lines.append((shown(batch), *times, shown(row.get("compile_s"), 0), row.get("error", "")))
    return "DeepLabV3+ on a ResNet-50, 512 x 512, one graph from pixels to masks.\n\n" + table(
        ("batch", "one graph, ms", "fused, ms", "images/s fused", "compiled in, s", "note"), lines
    )
