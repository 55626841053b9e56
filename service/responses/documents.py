"""Answers as JSON and GeoJSON documents."""

from __future__ import annotations

import base64
import json
from typing import Any

from maskzoo.models.labels import hex_colour
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.images import encode_indexed
from maskzoo.service.schemas import ClassResult, SegmentOptions, SegmentResult
from maskzoo.service.shapes.coco import encode_document, encode_rle
from maskzoo.service.shapes.places import place_outlines
from maskzoo.service.shapes.polygons import Ring, find_polygons, write_coordinates

Polygons = dict[int, list[list[Ring]]]

RUN_BYTES = 96
"""Memory for each run of equal pixels while its lengths are written; measured on noise."""

CORNER_BYTES = 400
"""Memory for each corner while polygons are found and written; measured on noise."""


def encode_json(answer: Answer, options: SegmentOptions) -> bytes:
    """Return the JSON answer: classes, fractions, boxes, confidences and the requested masks."""
    result = SegmentResult(
        model=answer.model,
        request_id=answer.request_id,
        width=answer.runs.width,
        height=answer.runs.height,
        mode=answer.mode,
        input=_describe_input(answer),
        classes=[],
        coco=_coco(answer) if "coco" in options.mask_names else None,
        png=_png(answer) if "png" in options.mask_names else None,
        timings_ms=answer.timings.milliseconds(),
    )
    # Polygons are already text; as lists of lists they would take several times as long.
    document = result.model_dump_json(exclude_none=True)
    classes = ",".join(_write_classes(answer, options))
    return document.replace('"classes":[]', f'"classes":[{classes}]', 1).encode()


def describe_classes(answer: Answer, options: SegmentOptions) -> list[ClassResult]:
    """Return a record for each class that occurs, without its polygons."""
    runs = answer.runs
    total = runs.width * runs.height
    return [
        ClassResult(
            id=label,
            name=name,
            colour=hex_colour(answer.labels.colours[label]),
            pixels=runs.areas[label],
            fraction=round(runs.areas[label] / total, 6),
            box=runs.box(label),
            confidence=round(answer.mean_confidences[label], 4),
            mask=encode_rle(runs, label) if "rle" in options.mask_names else None,
        )
        for label, name in answer.class_names().items()
    ]


def encode_geojson(answer: Answer, options: SegmentOptions) -> bytes:
    """Return a FeatureCollection with one MultiPolygon for each class that occurs.

    Coordinates are longitude and latitude, as in RFC 7946, if the image is a GeoTIFF whose system
    can be transformed to WGS 84. Otherwise they are in its own system, which `crs` names as in
    GeoJSON 2008. An image without georeference has pixels, x to the right and y down. The member
    `coordinates` names the kind.
    """
    plain = options.model_copy(update={"masks": "none"})
    outlines, system = place_outlines(_polygons(answer, options), answer.georeference)
    head = json.dumps({"type": "FeatureCollection", **system})
    parts = [f'{head[:-1]},"features":['.encode()]  # only one copy, since it may be very long
    for entry in describe_classes(answer, plain):
        properties = entry.model_dump_json(exclude_none=True)
        begin = f'{{"type":"Feature","id":{entry.id},"properties":{properties},"geometry":'
        parts.append(f"{',' if len(parts) > 1 else ''}{begin}".encode())
        parts.append(b'{"type":"MultiPolygon","coordinates":')
        parts.append(write_coordinates(outlines.pop(entry.id)).encode())
        parts.append(b"}}")
    return b"".join([*parts, b"]}"])


def _describe_input(answer: Answer) -> dict[str, Any]:
    if answer.georeference is None:
        return answer.info.to_json()
    return {**answer.info.to_json(), "georeference": answer.georeference.to_json()}


def _coco(answer: Answer) -> dict[str, Any]:
    return encode_document(answer.runs, answer.labels, file_name=answer.file_name)


def _write_classes(answer: Answer, options: SegmentOptions) -> list[str]:
    """Return the JSON of each class that occurs."""
    texts = [
        entry.model_dump_json(exclude_none=True) for entry in describe_classes(answer, options)
    ]
    if "polygons" not in options.mask_names:
        return texts
    polygons = _polygons(answer, options)
    return [
        f'{text[:-1]},"polygons":{write_coordinates(polygons[label])}}}'
        for text, label in zip(texts, answer.class_names(), strict=True)
    ]


def _polygons(answer: Answer, options: SegmentOptions) -> Polygons:
    return find_polygons(
        answer.runs.label_map, simplify=options.simplify, max_corners=answer.max_corners
    )


def _png(answer: Answer) -> str:
    return base64.b64encode(encode_indexed(answer)).decode("ascii")
