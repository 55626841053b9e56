"""Answers that are JSON."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from service.responses.answer import Answer
from service.responses.coco import encode_rle
from service.responses.images import encode_indexed
from service.schemas import ClassResult, SegmentOptions, SegmentResult


def encode_json(answer: Answer, options: SegmentOptions) -> bytes:
    """Return the JSON answer: classes with shares, boxes, confidences and the masks asked for."""
    result = SegmentResult(
        model=answer.model,
        request_id=answer.request_id,
        width=answer.runs.width,
        height=answer.runs.height,
        mode=answer.mode,
        input=dict(answer.info),
        classes=describe_classes(answer, options),
        png=_png(answer) if "png" in options.mask_names else None,
        timings_ms=answer.timings.milliseconds(),
    )
    return result.model_dump_json(exclude_none=True).encode()


def describe_classes(answer: Answer, options: SegmentOptions) -> list[ClassResult]:
    """Return a record for each class that occurs."""
    runs = answer.runs
    total = runs.width * runs.height
    return [
        ClassResult(
            id=label,
            name=name,
            colour=hex_colour(answer.labels.colours[label]),
            pixels=runs.areas[label],
            share=round(runs.areas[label] / total, 6),
            box=runs.box(label),
            confidence=round(answer.mean_confidences[label], 4),
            mask=encode_rle(runs, label) if "rle" in options.mask_names else None,
        )
        for label, name in answer.class_names().items()
    ]


def hex_colour(colour: Sequence[int]) -> str:
    """Return an RGB triple as `#rrggbb`."""
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def _png(answer: Answer) -> str:
    return base64.b64encode(encode_indexed(answer)).decode("ascii")
