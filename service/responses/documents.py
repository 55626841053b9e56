"""Answers that are JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from service.responses.answer import Answer
from service.responses.coco import encode_document, encode_rle
from service.responses.images import encode_indexed
from service.responses.places import place_outlines
from service.responses.polygons import encode_coordinates, find_polygons
from service.schemas import ClassResult, SegmentOptions, SegmentResult

Coordinates = list[list[list[list[float]]]]


def encode_json(answer: Answer, options: SegmentOptions) -> bytes:
    """Return the JSON answer: classes with shares, boxes, confidences and the masks asked for."""
    result = SegmentResult(
        model=answer.model,
        request_id=answer.request_id,
        width=answer.runs.width,
        height=answer.runs.height,
        mode=answer.mode,
        input=_describe_input(answer),
        classes=describe_classes(answer, options),
        coco=_coco(answer) if "coco" in options.mask_names else None,
        png=_png(answer) if "png" in options.mask_names else None,
        timings_ms=answer.timings.milliseconds(),
    )
    return result.model_dump_json(exclude_none=True).encode()


def describe_classes(answer: Answer, options: SegmentOptions) -> list[ClassResult]:
    """Return a record for each class that occurs."""
    runs = answer.runs
    outlines = _outlines(answer, options) if "polygons" in options.mask_names else None
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
            polygons=None if outlines is None else outlines[label],
        )
        for label, name in answer.class_names().items()
    ]


def encode_geojson(answer: Answer, options: SegmentOptions) -> bytes:
    """Return a FeatureCollection with one MultiPolygon for each class that occurs.

    Coordinates are longitude and latitude where the image is a GeoTIFF whose system can be
    transformed to WGS 84, as RFC 7946 wants them. Where it cannot, they are the system's own, and
    `crs` names it in the form of 2008. An image without a place has pixels, x to the right and y
    down. The member `coordinates` says which it is.
    """
    plain = options.model_copy(update={"masks": "none"})
    outlines, system = place_outlines(_outlines(answer, options), answer.georeference)
    features = [
        {
            "type": "Feature",
            "id": entry.id,
            "properties": entry.model_dump(exclude_none=True),
            "geometry": {"type": "MultiPolygon", "coordinates": outlines[entry.id]},
        }
        for entry in describe_classes(answer, plain)
    ]
    return json.dumps({"type": "FeatureCollection", **system, "features": features}).encode()


def hex_colour(colour: Sequence[int]) -> str:
    """Return an RGB triple as `#rrggbb`."""
    red, green, blue = colour
    return f"#{red:02x}{green:02x}{blue:02x}"


def _describe_input(answer: Answer) -> dict[str, Any]:
    if answer.georeference is None:
        return dict(answer.info)
    return {**answer.info, "georeference": answer.georeference.to_json()}


def _coco(answer: Answer) -> dict[str, Any]:
    return encode_document(answer.runs, answer.labels, file_name=answer.file_name)


def _outlines(answer: Answer, options: SegmentOptions) -> dict[int, Coordinates]:
    polygons = find_polygons(answer.runs.labels, simplify=options.simplify)
    return {label: encode_coordinates(parts) for label, parts in polygons.items()}


def _png(answer: Answer) -> str:
    return base64.b64encode(encode_indexed(answer)).decode("ascii")
