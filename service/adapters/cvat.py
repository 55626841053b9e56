"""CVAT: masks in the format of a serverless (Nuclio) detector, and in CVAT's storage format.

A detector's mask is the pixels (0 or 1) of its box, row by row, then the box; CVAT makes run
lengths of it. A stored shape's `points` are those run lengths, zeros first, then the box. A box
is left, top, right, bottom, the last pixel included.
Source: cvat/apps/lambda_manager/views.py, cvat_sdk/masks.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from maskzoo.service.errors import BadParameterError, BadRequestError
from maskzoo.service.inputs.base64_text import decode_base64
from maskzoo.service.inputs.json_text import parse_object
from maskzoo.service.responses.answer import Answer, AnswerNeeds
from maskzoo.service.responses.documents import CORNER_BYTES
from maskzoo.service.shapes.polygons import Ring, find_polygons, signed_area

MaskFormat = Literal["flat", "rle"]
_RUN_BYTES = 64  # of a number in a list and its text; measured on noise


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


def needs_of(mask_format: MaskFormat, *, flat_pixels: int) -> AnswerNeeds:
    """Return what an answer must hold, and the memory in which it is written.

    Args:
        flat_pixels: of all flat masks together.
    """
    if mask_format == "rle":
        return AnswerNeeds(needs_confidence=True, bytes_per_run=_RUN_BYTES)
    return AnswerNeeds(
        needs_confidence=True, bytes_per_corner=CORNER_BYTES, flat_pixels=flat_pixels
    )


def encode_shapes(
    answer: Answer, *, threshold: float, mask_format: MaskFormat, flat_pixels: int
) -> bytes:
    """Return the list of the classes that occur, without the background.

    Args:
        flat_pixels: of all flat masks together, two bytes of text each.

    Raises:
        BadParameterError: the flat masks would have too many pixels.
        TooManyRunsError, TooManyCornersError: the mask has too many runs or corners.
    """
    names = {
        label: name
        for label, name in answer.class_names().items()
        if label != answer.labels.background and answer.mean_confidences[label] >= threshold
    }
    polygons: dict[int, list[list[Ring]]] = {}
    if mask_format == "rle":
        answer.runs.check_rows()
    else:
        _check_boxes(answer, names, flat_pixels)
        polygons = find_polygons(answer.runs.label_map, simplify=1, max_corners=answer.max_corners)
    shapes: list[str] = []
    for label, name in names.items():
        confidence = answer.mean_confidences[label]
        shape = {"confidence": str(round(confidence, 4)), "label": name, "type": "mask"}
        if mask_format == "rle":
            points = encode_mask(answer.runs.label_map == label)
            shapes.append(json.dumps({**shape, "points": points}))
            continue
        rings = [polygon[0] for polygon in polygons[label]]
        outline = max(rings, key=signed_area).reshape(-1).tolist() if rings else []
        mask = flatten_mask(answer.runs.label_map == label)
        head = json.dumps({**shape, "points": outline})
        shapes.append(f'{head[:-1]}, "mask": {mask}}}')
    return f"[{', '.join(shapes)}]".encode()


def _check_boxes(answer: Answer, labels: Iterable[int], flat_pixels: int) -> None:
    """Refuse flat masks before any is written: they have the pixels of the boxes of the classes."""
    boxes = [answer.runs.box(label) for label in labels]
    num_pixels = sum(box[2] * box[3] for box in boxes if box is not None)
    if num_pixels > flat_pixels:
        raise BadParameterError(
            [
                f"format: flat masks have {num_pixels} pixels, and at most {flat_pixels} are "
                "written; ask for format=rle"
            ]
        )


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
