"""The number of replicas follows from queued seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from maskzoo.service.replicas.policy import BUSY, QUEUED_S, QueuedSeconds


@dataclass
class Reported:
    """What Ray tells a policy."""

    target_num_replicas: int
    aggregated_metrics: Mapping[str, Mapping[Any, float]] | None


def wanted(now: int, queued_s: list[float], busy: list[float]) -> float:
    reported = {QUEUED_S: dict(enumerate(queued_s)), BUSY: dict(enumerate(busy))}
    return QueuedSeconds(target_s=2)(Reported(now, reported))[0]


@pytest.mark.parametrize(
    ("now", "queued_s", "busy", "replicas"),
    [
        (1, [0.0], [0.0], 0),  # idle: Ray's lower limit decides
        (1, [6.0], [1.0], 3),  # 6 s of work, 2 s for each
        (2, [5.0, 3.0], [1.0, 1.0], 4),
        (4, [0.1, 0.1, 0.1, 0.1], [1.0, 1.0, 1.0, 1.0], 4),  # short queues, but all are busy
        (4, [0.1, 0.1, 0.1, 0.1], [0.4, 0.4, 0.4, 0.4], 2),  # 1.6 busy replicas, 80 % each
        (1, [0.1], [1.0], 1),  # one client that waits for each answer needs no second replica
    ],
)
def test_each_replica_gets_its_seconds(
    now: int, queued_s: list[float], busy: list[float], replicas: float
) -> None:
    assert wanted(now, queued_s, busy) == pytest.approx(replicas)


def test_without_reports_nothing_is_wanted() -> None:
    assert QueuedSeconds(2)(Reported(3, None)) == (0.0, {})
