"""How many replicas there should be: by queued seconds.

Requests in flight, Ray's own measure, say little about images: one of 50 megapixels takes a hundred
times as long as one of 0.5. Each replica knows how long its admitted pixels will take at the speed
that it measured (`service.scheduling.admission`), so the seconds of all replicas are divided by the
seconds that one may have.

Ray's controller loads this class by value: it uses nothing of this package.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

QUEUED_S, BUSY = "queued_s", "busy"
"""What a replica reports: seconds of admitted work, and whether there is any (1 or 0)."""


class Situation(Protocol):
    """What Ray's `AutoscalingContext` tells a policy."""

    target_num_replicas: int

    @property
    def aggregated_metrics(self) -> Mapping[str, Mapping[Any, float]] | None:
        """Name of what replicas report -> replica -> its mean in the look-back period."""
        ...


class QueuedSeconds:
    """The number of replicas at which each has `target_s` of work.

    Short requests leave a short queue even where all replicas are busy. Then none is taken away:
    the others would be busy for more than `most_busy` of the time.

    Ray applies the limits and the delays of its `AutoscalingConfig` to the result.

    Args:
        target_s: seconds of work that one replica may have.
        most_busy: fraction of the time in which the replicas that stay may have work.
    """

    def __init__(self, target_s: float, most_busy: float = 0.8) -> None:
        self.target_s = target_s
        self.most_busy = most_busy

    def __call__(self, situation: Situation) -> tuple[float, dict[str, Any]]:
        """Return the number of replicas, and nothing to remember."""
        reported = situation.aggregated_metrics or {}
        queued_s = sum(reported.get(QUEUED_S, {}).values())
        busy = sum(reported.get(BUSY, {}).values())
        kept = min(situation.target_num_replicas, math.ceil(busy / self.most_busy))
        return max(queued_s / self.target_s, float(kept)), {}
