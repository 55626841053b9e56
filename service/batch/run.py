"""The cluster of a batch: Ray Data sends paths to a pool of actors and brings outcomes back.

An actor whose process dies is started again, and its block of paths runs again; masks that it wrote
are whole and kept. A block that four processes died of is cut into single images. One that four
more die of fails with that reason, so an image that kills its worker does not stop the others.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from maskzoo.models.errors import ZooError
from maskzoo.service.batch.outcome import BatchOutcome
from maskzoo.service.batch.pool import Pool, choose_pool
from maskzoo.service.batch.sources import Source
from maskzoo.service.batch.targets import open_target
from maskzoo.service.batch.worker import BatchWork, Worker

try:
    import pyarrow as pa
    import ray
    import ray.data
except ImportError as error:
    raise ZooError("--ray needs Ray: pip install 'maskzoo[ray]'") from error

_BLOCK = 16
"""Most images of one task: what a dead worker's successor looks through again."""
_RETRIES = 3
_STORE_BYTES = 128 << 20
"""Object store of a Ray of our own: it holds paths and outcomes, no pixels."""
_STARTS = 8
"""Workers that may die in a row while they load the network before the run ends."""


def predict_on_ray(
    sources: Sequence[Source],
    work: BatchWork,
    *,
    address: str | None = None,
    workers: int | None = None,
) -> Iterator[BatchOutcome]:
    """Segment images on a cluster; yields one outcome for each, as they come.

    Args:
        sources: from `service.batch.sources.list_sources`.
        work: what to do.
        address: of a Ray cluster; None takes `RAY_ADDRESS`, or starts a Ray on this machine that
            ends with the run.
        workers: number of actors; None takes one for each GPU, or for each core.

    Raises:
        ZooError: there is no such cluster, or its workers cannot load the bundle.
    """
    target = open_target(work.out)
    with _connected(address):
        found = ray.cluster_resources()
        pool = choose_pool(found.get("CPU", 0), found.get("GPU", 0), work.device, workers)
        work = replace(work, threads=None if pool.gpus else pool.cpus)
        target.sweep()
        open_ones = bytearray(b"\1" * len(sources))
        for block in (max(1, min(_BLOCK, len(sources) // (8 * pool.size))), 1):
            indices = [index for index, is_open in enumerate(open_ones) if is_open]
            for index, outcome in _round(sources, indices, block, work, pool):
                if open_ones[index]:
                    open_ones[index] = 0
                    yield outcome
        for index, is_open in enumerate(open_ones):
            if is_open:
                yield _lost(sources[index], target.show(f"masks/{sources[index].name}.png"))
        target.sweep()


def _round(
    sources: Sequence[Source], indices: Sequence[int], block: int, work: BatchWork, pool: Pool
) -> Iterator[tuple[int, BatchOutcome]]:
    """Yield the outcomes of the images at `indices`, less those whose blocks' workers died."""
    if not indices:
        return
    tables = [
        _table(sources, indices[start : start + block]) for start in range(0, len(indices), block)
    ]
    size = min(pool.size, len(tables))
    outcomes = ray.data.from_arrow(tables).map_batches(
        Worker,
        fn_constructor_args=(work,),
        batch_size=None,
        num_cpus=pool.cpus,
        num_gpus=pool.gpus or None,
        # A single image waits at no other's worker: it would be charged with its death.
        compute=ray.data.ActorPoolStrategy(
            size=size, max_tasks_in_flight_per_actor=1 if block == 1 else 2
        ),
        ray_remote_args_fn=_actor_options,
    )
    try:
        for batch in outcomes.iter_batches(batch_size=None, prefetch_batches=0):
            for index, packed in zip(batch["index"], batch["outcome"], strict=True):
                yield int(index), BatchOutcome.unpack(str(packed))
    except ray.exceptions.RayError as error:
        raise ZooError(f"the workers cannot be started: {_cause(error)}") from error


def _actor_options() -> dict[str, Any]:
    """Return the options of `ray.remote` that Ray Data has no parameter for."""
    return {"max_restarts": -1, "max_task_retries": _RETRIES}


def _table(sources: Sequence[Source], indices: Sequence[int]) -> Any:
    rows = [sources[index] for index in indices]
    return pa.table(
        {
            "index": list(indices),
            # as bytes: the name of a file need not be text
            "location": [os.fsencode(row.location) for row in rows],
            "name": [os.fsencode(row.name) for row in rows],
        }
    )


def _lost(source: Source, mask: str) -> BatchOutcome:
    reason = f"{_RETRIES + 1} workers died while it was segmented: it may need too much memory"
    return BatchOutcome(source.location, mask, error=f"{source.location}: {reason}")


def _cause(error: BaseException) -> str:
    """Return the last line of what a worker raised; Ray's own text is a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one on this machine that only this machine reaches."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # a death is in the outcomes
    given = address or os.environ.get("RAY_ADDRESS")
    own: dict[str, Any] = {
        "include_dashboard": False,
        "object_store_memory": _STORE_BYTES,
        "_node_ip_address": "127.0.0.1",
    }
    try:
        ray.init(
            address=given or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if given else own),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ZooError(f"no Ray cluster at {given!r}: {_cause(error)}") from error
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.max_errored_blocks = -1  # their images come in the next round
        context.max_consecutive_actor_init_deaths = _STARTS
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        with contextlib.redirect_stdout(sys.stderr):  # Ray reports there what died
            yield
            ray.shutdown()  # which may report, too
    finally:
        ray.shutdown()
