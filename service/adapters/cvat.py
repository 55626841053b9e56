"""CVAT: masks in the format of a serverless (Nuclio) detector, and in CVAT's storage format.

A detector's mask is the pixels (0 or 1) of its box, row by row, then the box; CVAT makes run
lengths of it. A stored shape's `points` are those run lengths, zeros first, then the box. A box
is left, top, right, bottom, the last pixel included.
Source: cvat/apps/lambda_manager/views.py, cvat_sdk/masks.py.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import numpy as np

from maskzoo.service.errors import BadParameterError, BadRequestError
from maskzoo.service.inputs.base64_text import decode_base64
from maskzoo.service.inputs.json_text import parse_object
from maskzoo.service.responses.answer import Answer
from maskzoo.service.shapes.polygons import find_polygons, signed_area

MaskFormat = Literal["flat", "rle"]


def parse_request(body: bytes) -> tuple[bytes, float]:
    """Return the image and the least confidence of a class, of `{"image": base64, "threshold"}`.

    Raises:
        BadRequestError: no image, or a threshold that is not a number.
    """
    document = parse_object(body)
    image, threshold = document.get("image"), document.get("threshold") or 0
    if not isinstance(image, str) or not image:
        raise BadRequestError("'image' is the image in base64")
    if not isinstance(threshold, int | float):
        raise BadRequestError(f"'threshold' is a number, not {threshold!r}")
    return decode_base64(image), float(threshold)


def encode_shapes(
    answer: Answer, *, threshold: float, mask_format: MaskFormat, flat_pixels: int
) -> bytes:
    """Return the list of the classes that occur, without the background.

    Args:
        flat_pixels: of all flat masks together, two bytes of text each.

    Raises:
        BadParameterError: the flat masks would have too many pixels.
    """
    polygons = find_polygons(answer.runs.label_map, simplify=1) if mask_format == "flat" else {}
    shapes: list[str] = []
    num_pixels = 0
    for label, name in answer.class_names().items():
        confidence = answer.mean_confidences[label]
        if label == answer.labels.background or confidence < threshold:
            continue
        shape = {"confidence": str(round(confidence, 4)), "label": name, "type": "mask"}
        if mask_format == "rle":
            points = encode_mask(answer.runs.label_map == label)
            shapes.append(json.dumps({**shape, "points": points}))
            continue
        rings = [polygon[0] for polygon in polygons[label]]
        outline = max(rings, key=signed_area).reshape(-1).tolist() if rings else []
        mask = flatten_mask(answer.runs.label_map == label)
        num_pixels += len(mask) // 2
        if num_pixels > flat_pixels:
            raise BadParameterError(
                [f"format: flat masks have more than {flat_pixels} pixels; ask for format=rle"]
            )
        head = json.dumps({**shape, "points": outline})
        shapes.append(f'{head[:-1]}, "mask": {mask}}}')
    return f"[{', '.join(shapes)}]".encode()


def describe_function(name: str, classes: list[str], background: int | None) -> dict[str, Any]:
    """Return what CVAT reads from a function's annotations."""
    labels = [
        {"id": index, "name": label, "type": "mask"}
        for index, label in enumerate(classes)
        if index != background
    ]
    return {"name": name, "type": "detector", "spec": labels}


def flatten_mask(mask: np.ndarray) -> str:
    """Return the pixels of the box around a bool mask (H, W), and the box, as a list in JSON.

    As text, since a list of numbers takes several times the memory and the time.
    """
    left, top, right, bottom = _box(mask)
    inside = mask[top : bottom + 1, left : right + 1]
    digits = np.full((inside.size, 2), ord(","), np.uint8)
    digits[:, 0] = inside.reshape(-1) + np.uint8(ord("0"))
    return f"[{digits.tobytes().decode('ascii')}{left},{top},{right},{bottom}]"


def encode_mask(mask: np.ndarray) -> list[int]:
    """Return the run lengths inside the box around a bool mask (H, W), and the box."""
    left, top, right, bottom = _box(mask)
    flat = mask[top : bottom + 1, left : right + 1].reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [*([0] if flat[0] else []), *lengths, left, top, right, bottom]


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert rows.size, "a class that occurs has pixels"
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])
