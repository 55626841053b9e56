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
    # Codes outside the table would index it from the end or fail: they all count as its last code.
    low = int(codes.min(initial=0)) if codes.dtype.kind == "i" else 0
    if low < 0 or (codes.dtype.itemsize > 2 and int(codes.max(initial=0)) >= size):
        codes = np.where((codes < 0) | (codes >= size), size - 1, codes)
    labels: npt.NDArray[np.uint8] = _lookup_table(encoding)[codes]
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
        f"value(s) in no class: {listed}; add them to a class in dataset.yaml, or to its ignore"
    )


@lru_cache(maxsize=4)
def _lookup_table(encoding: MaskEncoding) -> npt.NDArray[np.uint8]:
    """Return class ids for every possible code: 64 KiB for values, 16 MiB for colours."""
    table = np.full(_TABLE_SIZE[encoding.kind], _UNKNOWN, np.uint8)
    for code, label in encoding.table:
        table[code] = label
    return table
