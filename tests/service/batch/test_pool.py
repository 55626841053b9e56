"""Workers share what the cluster has."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import ZooError
from maskzoo.service.batch.pool import choose_pool


@pytest.mark.parametrize(
    ("cpus", "gpus", "device", "workers", "expected"),
    [
        (8, 0, "auto", None, (8, 1, 0.0)),
        (8, 0, "auto", 2, (2, 4, 0.0)),
        (16, 2, "auto", None, (2, 1, 1.0)),
        (16, 2, "cuda", 8, (8, 1, 0.25)),
        (16, 2, "auto", 3, (3, 1, 0.5)),
        (16, 8, "auto", 2, (2, 1, 1.0)),
        (16, 2, "cpu", 4, (4, 4, 0.0)),
        (0.5, 0, "cpu", None, (1, 1, 0.0)),
    ],
)
def test_workers_share_the_cores_or_the_gpus(
    cpus: float, gpus: float, device: str, workers: int | None, expected: tuple[int, int, float]
):
    pool = choose_pool(cpus, gpus, device, workers)
    assert (pool.size, pool.cpus, pool.gpus) == expected


def test_what_the_cluster_does_not_have_is_refused():
    with pytest.raises(ZooError, match="'cuda' was asked for, and the cluster has no GPU"):
        choose_pool(8, 0, "cuda", None)
    with pytest.raises(ZooError, match="'cuda:1' is one of a machine: with --ray give cuda"):
        choose_pool(8, 2, "cuda:1", None)
    with pytest.raises(ZooError, match="9 workers were asked for, and the cluster has 8 cores"):
        choose_pool(8, 0, "auto", 9)
