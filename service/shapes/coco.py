"""COCO run-length encoding, and whole COCO documents.

Source: pycocotools (`common/maskApi.c`), which writes equal strings.
Encoding: column-major run lengths, zeros first; from the fourth on, each is stored as the
difference to the one two before; each number in groups of five bits, least first, bit 6 = more,
plus 48. Shapes: counts (R,) int64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from maskzoo.models.labels import LabelSet
from maskzoo.service.shapes.runs import LabelRuns


def compress_counts(counts: np.ndarray) -> str:
    """Write run lengths as COCO's ASCII string."""
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    groups = []
    more = np.ones(values.shape, bool)
    while more.any():
        low = values & 0x1F
        values = values >> 5  # arithmetic: a negative number ends in -1
        sign = (low & 0x10) != 0
        ends = np.where(sign, values == -1, values == 0)
        groups.append(np.where(more, low + np.where(ends, 0, 0x20) + 48, 0).astype(np.uint8))
        more = more & ~ends
        values = np.where(more, values, np.where(sign, -1, 0))
    table = np.stack(groups, axis=1).reshape(-1)  # (R, groups) in writing order
    text: bytes = table[table != 0].tobytes()
    return text.decode("ascii")


def encode_rle(runs: LabelRuns, label: int) -> dict[str, Any]:
    """Return the mask of one label as `{"size": [h, w], "counts": "…"}`."""
    counts = runs.columns.counts_of_label(label)
    return {"size": [runs.height, runs.width], "counts": compress_counts(counts)}


def encode_document(runs: LabelRuns, labels: LabelSet, *, file_name: str) -> dict[str, Any]:
    """Return a COCO data set of one image, one crowd annotation for each class that occurs.

    COCO counts categories and annotations from 1: `category_id` is the class id plus 1.
    """
    known = {label: area for label, area in runs.areas.items() if label < labels.num_classes}
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": label + 1,
            "iscrowd": 1,
            "area": area,
            "bbox": list(runs.box(label) or ()),
            "segmentation": encode_rle(runs, label),
        }
        for number, (label, area) in enumerate(known.items(), start=1)
    ]
    return {
        "images": [{"id": 1, "file_name": file_name, "width": runs.width, "height": runs.height}],
        "categories": [
            {"id": index + 1, "name": name, "supercategory": ""}
            for index, name in enumerate(labels.names)
        ],
        "annotations": annotations,
    }
