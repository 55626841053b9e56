"""One image by the predictor, by its own clock, and many at once."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from maskzoo import Predictor
from maskzoo.models.inference.options import PredictOptions
from on_gpu.bundle import made_bundle
from on_gpu.setup import ROOT, Row, Setup, reason, shown
from page import table

_PHOTO = ROOT / "service" / "web" / "samples" / "nuclei.jpg"
_STAGES = ("decode", "preprocess", "network", "postprocess")


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each size of the image."""
    predictor = Predictor.from_bundle(made_bundle(setup), device=str(setup.device))
    for size in ((64, 64),) if setup.quick else ((512, 512), (1080, 1920)):
        if setup.is_late:
            return
        row: Row = {"size": f"{size[0]} x {size[1]}", "engine": predictor.engine.name}
        try:
            row |= _one(setup, predictor, size)
        except Exception as error:
            row["error"] = reason(error)
        yield row


def _one(setup: Setup, predictor: Predictor, size: tuple[int, int]) -> Row:
    pixels = cv2.resize(cv2.imread(str(_PHOTO)), size[::-1])
    photo = cv2.imencode(".jpg", pixels)[1].tobytes()
    row: Row = {"ms": setup.ms(lambda: predictor.segment(photo))}
    timings = [predictor.segment(photo).timings for _ in range(3)]
    for stage in _STAGES:
        row[stage] = 1e3 * float(np.median([one.get(stage, 0.0) for one in timings]))
    many = [pixels] * (2 if setup.quick else 16)
    options = PredictOptions(confidence=False)
    row["many_ms"] = setup.ms(lambda: predictor.segment_batch(many, options)) / len(many)
    return row


def text(rows: list[Row]) -> str:
    """Return the table."""
    lines = [
        (
            row["size"],
            shown(row.get("ms"), 1),
            *(shown(row.get(stage), 1) for stage in _STAGES),
            shown(row.get("many_ms"), 1),
            row.get("error") or row.get("engine") or "",
        )
        for row in rows
    ]
    head = ("one JPEG", "ms", *(f"{stage}, ms" for stage in _STAGES))
    return table((*head, "of 16 arrays, ms an image", "engine, note"), lines)
