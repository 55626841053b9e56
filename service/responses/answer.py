"""`Answer`: everything about a segmented image from which the formats are written."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from maskzoo.models.labels import LabelSet
from maskzoo.service.inputs.georeference import GeoReference
from maskzoo.service.responses.polygons import MAX_CORNERS
from maskzoo.service.responses.runs import LabelRuns


class Moment(NamedTuple):
    """When a stage ran.

    Args:
        begun_ns: nanoseconds since 1970.
    """

    stage: str
    begun_ns: int
    seconds: float


class Timings:
    """Seconds by stage, in the order in which the stages began, and the moments they are of."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.moments: list[Moment] = []

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Add the time of the block to a stage."""
        begun, begun_ns = time.perf_counter(), time.time_ns()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - begun, begun_ns=begun_ns)

    def add(self, stage: str, seconds: float, *, begun_ns: int | None = None) -> None:
        """Add seconds to a stage.

        Args:
            begun_ns: since 1970; None where the stage followed the one before at once.
        """
        if begun_ns is None:
            last = self.moments[-1] if self.moments else None
            begun_ns = last.begun_ns + round(last.seconds * 1e9) if last else time.time_ns()
        self.moments.append(Moment(stage, begun_ns, seconds))
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def milliseconds(self) -> dict[str, float]:
        """Return the times as numbers for people and JSON."""
        return {stage: round(1000 * seconds, 2) for stage, seconds in self.seconds.items()}

    def header(self) -> str:
        """Return the value of a Server-Timing header."""
        return ", ".join(f"{stage};dur={ms}" for stage, ms in self.milliseconds().items())


@dataclass(frozen=True)
class Answer:
    """One segmented image.

    Args:
        model: name of the model.
        labels: its classes.
        runs: the label map (H, W) and its runs; H and W are the upright input's.
        confidence: the winning class's probability in each pixel, float (H, W); None where the
            form of the answer does not need it.
        pixels: the upright input, uint8 (H, W, 3) RGB.
        mode: how the network was applied.
        info: what the decoder found and did, ready for JSON.
        file_name: the client's name of the image.
        probabilities: float16 (K, H, W); None where nobody asked.
        georeference: of a GeoTIFF.
        max_corners: of all polygons together; more are refused.
    """

    model: str
    labels: LabelSet
    runs: LabelRuns
    confidence: np.ndarray | None
    pixels: np.ndarray
    mode: str
    info: Mapping[str, Any]
    request_id: str
    file_name: str = "image"
    timings: Timings = field(default_factory=Timings)
    probabilities: np.ndarray | None = None
    georeference: GeoReference | None = None
    max_corners: int = MAX_CORNERS

    @cached_property
    def mean_confidences(self) -> dict[int, float]:
        """Mean confidence of the pixels of each label that occurs."""
        assert self.confidence is not None, "this form needs confidence: say so in its table"
        rows = self.runs.rows
        flat = self.confidence.reshape(-1)  # summed as it is: a copy of a huge map is too much
        of_runs = np.add.reduceat(flat, rows.starts, dtype=np.float32)
        sums = np.bincount(rows.values, weights=of_runs)
        return {label: float(sums[label]) / area for label, area in self.runs.areas.items()}

    def class_names(self) -> dict[int, str]:
        """Return the names of the classes that occur, by id."""
        names = self.labels.names
        return {label: names[label] for label in self.runs.areas if label < len(names)}
