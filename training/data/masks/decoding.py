"""Decoding of stored masks to class ids.

Class ids are uint8 (H, W); `IGNORE` marks pixels to ignore. RGB files and palettes of any order may
lie side by side: both are looked up by colour. An unlisted code takes the closest class where the
encoding says so (`nearest`); elsewhere it is an error that names it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.codes import format_code
from maskzoo.training.data.records.encoding import MaskEncoding
from maskzoo.training.data.records.rawmask import CodeKind, RawMask

_UNKNOWN = 254  # marks unlisted codes inside this file; `MAX_CLASSES` keeps it free
_TABLE_SIZE: dict[CodeKind, int] = {"values": 1 << 16, "colours": 1 << 24}


def decode_labels(raw: RawMask, encoding: MaskEncoding) -> npt.NDArray[np.uint8]:
    """Return the class ids of a mask, uint8 (H, W).

    Raises:
        DataError: the mask holds codes that the encoding does not list; names each with its count.
    """
    codes = encoding.codes_of(raw)
    size = _TABLE_SIZE[encoding.kind]
    labels: npt.NDArray[np.uint8]
    if codes.size and (int(codes.min()) < 0 or int(codes.max()) >= size):
        outside = (codes < 0) | (codes >= size)
        labels = _lookup_table(encoding)[np.where(outside, 0, codes)]
        labels[outside] = _search(codes[outside], encoding)
    else:
        labels = _lookup_table(encoding)[codes]
    unknown = labels == _UNKNOWN
    if not unknown.any():
        return labels
    values, counts = np.unique(codes[unknown], return_counts=True)
    if encoding.nearest:
        labels[unknown] = encoding.closest_ids(values)[np.searchsorted(values, codes[unknown])]
        return labels
    listed = ", ".join(
        f"{format_code(int(value), encoding.kind)} ({count} px)"
        for value, count in sorted(zip(values, counts, strict=True), key=lambda row: -row[1])[:8]
    )
    raise DataError(
        f"values in no class: {listed}; add them to a class in dataset.yaml, or to its ignore"
    )


@lru_cache(maxsize=4)
def _lookup_table(encoding: MaskEncoding) -> npt.NDArray[np.uint8]:
    """Return class ids for codes: 64 KiB for values, 16 MiB for colours."""
    table = np.full(_TABLE_SIZE[encoding.kind], _UNKNOWN, np.uint8)
    for code, label in encoding.table:
        if 0 <= code < len(table):
            table[code] = label
    return table


def _search(codes: npt.NDArray[np.integer], encoding: MaskEncoding) -> npt.NDArray[np.uint8]:
    """Return the class ids of codes that the table has no room for, shape (n,)."""
    listed = np.array(sorted(encoding.codes), np.int64)
    ids = np.array([encoding.codes[int(code)] for code in listed], np.uint8)
    places = np.minimum(np.searchsorted(listed, codes), len(listed) - 1)
    found: npt.NDArray[np.uint8] = np.where(listed[places] == codes, ids[places], _UNKNOWN)
    return found.astype(np.uint8)
