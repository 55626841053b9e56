"""One image by the predictor, by its own clock, and many at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from maskzoo import Predictor, create_model, save_bundle
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.labels import LabelSet
from on_gpu.setup import CLASSES, PREPROCESSING, ROOT, Row, Setup, reason, shown
from page import table

_PHOTO = ROOT / "service" / "web" / "samples" / "nuclei.jpg"
_STAGES = ("decode", "preprocess", "network", "postprocess")


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each size of the image."""
    with tempfile.TemporaryDirectory() as folder:
        network = create_model("deeplabv3plus", encoder=setup.encoder, num_classes=CLASSES)
        path = save_bundle(
            Path(folder) / "made",
            network,
            name="made",
            labels=LabelSet.generic(CLASSES),
            preprocessing=PREPROCESSING,
        )
        predictor = Predictor.from_bundle(path, device=str(setup.device))
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
