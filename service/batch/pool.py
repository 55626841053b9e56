"""The workers of a batch: how many, and what each has of the cluster."""

from __future__ import annotations

import math
from dataclasses import dataclass

from maskzoo.models.errors import ZooError


@dataclass(frozen=True)
class Pool:
    """The actors of a run.

    Args:
        size: how many.
        cpus: cores of each.
        gpus: GPUs of each; under 1, several share one.
    """

    size: int
    cpus: int
    gpus: float


def choose_pool(cpus: float, gpus: float, device: str, workers: int | None) -> Pool:
    """Return the actors for a cluster: one for each GPU, or for each core without one.

    Args:
        cpus, gpus: of the whole cluster.
        device: as of `Predictor.from_bundle`; `auto` takes GPUs where the cluster has some.
        workers: number of actors that was asked for; they share what there is.

    Raises:
        ZooError: a GPU was asked for by number, or the cluster has none; or there are fewer cores
            than workers.
    """
    if device.startswith("cuda:"):
        raise ZooError(f"device {device!r} is one of a machine: with --ray give cuda")
    on_gpu = device.startswith("cuda") or (device == "auto" and gpus > 0)
    if on_gpu and not gpus:
        raise ZooError(f"device {device!r} was asked for, and the cluster has no GPU")
    size = workers or max(1, int(gpus if on_gpu else cpus))
    if workers and workers > cpus:
        raise ZooError(f"{size} workers were asked for, and the cluster has {cpus:g} cores")
    if on_gpu:
        return Pool(size, 1, 1 / math.ceil(size / gpus))
    return Pool(size, max(1, int(cpus // size)), 0.0)
