"""What the codes in a mask file mean: stored value or colour → class id.

Class ids come out as uint8 (H, W); `IGNORE` marks pixels that neither train nor count. Colours
may stand in RGB files and in palettes of any order side by side: both are looked up by colour.
With `nearest`, a code that is not listed takes the class of the closest one that is: the cure for
JPEG noise and anti-aliased edges. Without it such a code is an error that names the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError
from maskzoo.models.labels import Colour, LabelSet
from maskzoo.training.data.masks.maskfile import Kind, RawMask

IGNORE = 255
MAX_CLASSES = 254
_UNKNOWN = 254  # only inside this file
_TABLE_SIZE: dict[Kind, int] = {"values": 1 << 16, "colours": 1 << 24}


@dataclass(frozen=True)
class MaskEncoding:
    """The table from codes to class ids.

    Args:
        kind: whether codes are stored values (palette indices too) or packed 0xRRGGBB colours.
        table: pairs (code, class id); id `IGNORE` for what is to be ignored.
        nearest: take the closest listed code for one that is not listed.
    """

    kind: Kind
    table: tuple[tuple[int, int], ...]
    nearest: bool = False

    @property
    def codes(self) -> dict[int, int]:
        """The table as a dict."""
        return dict(self.table)

    def closest(self, code: int) -> int:
        """Return the class id of the listed code that is nearest to `code`."""
        return int(_nearest(np.array([code]), self)[0])

    def codes_of(self, raw: RawMask) -> npt.NDArray[np.integer]:
        """Return the codes of `raw` in this encoding's kind.

        Raises:
            DataError: the file holds colours where values are described.
        """
        if self.kind == "colours":
            return raw.as_colours()
        if raw.kind == "colours":
            raise DataError("holds colours, but the data set is described by values")
        return raw.codes


@dataclass(frozen=True)
class Detected:
    """An encoding with its classes, and what was decided in words.

    Args:
        encoding: code → class id.
        labels: names and colours.
        name: `ids`, `0/255`, `grey levels`, `indexed`, `per-file palettes`, `colours` …
        notes: the decisions.
    """

    encoding: MaskEncoding
    labels: LabelSet
    name: str
    notes: tuple[str, ...]


def format_code(code: int, kind: Kind) -> str:
    """Write a code as people do: `7`, or `#3C1098`."""
    return f"#{code:06X}" if kind == "colours" else str(code)


def unpack_colour(code: int) -> Colour:
    """Return red, green and blue of 0xRRGGBB."""
    return code >> 16, code >> 8 & 255, code & 255


def decode_labels(raw: RawMask, encoding: MaskEncoding) -> npt.NDArray[np.uint8]:
    """Turn a mask as stored into class ids.

    Raises:
        DataError: it holds codes that `encoding` does not list, each named with its count.
    """
    codes = encoding.codes_of(raw)
    low = int(codes.min(initial=0)) if codes.dtype.kind == "i" else 0
    size = _TABLE_SIZE[encoding.kind]
    if low < 0 or (codes.dtype.itemsize > 2 and int(codes.max(initial=0)) >= size):
        codes = np.where((codes < 0) | (codes >= size), size - 1, codes)
    labels = _lookup_table(encoding)[codes]
    unknown = labels == _UNKNOWN
    if not unknown.any():
        return labels
    values, counts = np.unique(codes[unknown], return_counts=True)
    if encoding.nearest:
        labels[unknown] = _nearest(values, encoding)[np.searchsorted(values, codes[unknown])]
        return labels
    listed = ", ".join(
        f"{format_code(int(value), encoding.kind)} ({count} px)"
        for value, count in sorted(zip(values, counts, strict=True), key=lambda row: -row[1])[:8]
    )
    raise DataError(f"value(s) in no class: {listed}; add them to dataset.yaml, or under ignore")


@lru_cache(maxsize=4)
def _lookup_table(encoding: MaskEncoding) -> npt.NDArray[np.uint8]:
    """Return class ids for every possible code: 64 KiB for values, 16 MiB for colours."""
    table = np.full(_TABLE_SIZE[encoding.kind], _UNKNOWN, np.uint8)
    for code, label in encoding.table:
        table[code] = label
    return table


def _nearest(values: npt.NDArray[np.integer], encoding: MaskEncoding) -> npt.NDArray[np.uint8]:
    """Return the class id of the closest listed code for each of `values`."""
    codes = np.array([code for code, _ in encoding.table])
    labels = np.array([label for _, label in encoding.table], np.uint8)
    points, listed = _as_points(values, encoding.kind), _as_points(codes, encoding.kind)
    result = np.empty(len(values), np.uint8)
    for start in range(0, len(values), 4096):  # bounds the memory of the distance table
        part = points[start : start + 4096, None, :] - listed[None, :, :]
        result[start : start + 4096] = labels[(part**2).sum(-1).argmin(1)]
    return result


def _as_points(codes: npt.NDArray[np.integer], kind: Kind) -> npt.NDArray[np.int64]:
    """Return codes as points (n, 1) on the grey line or (n, 3) in RGB."""
    wide = codes.astype(np.int64)
    if kind == "values":
        return wide[:, None]
    return np.stack([wide >> 16, (wide >> 8) & 255, wide & 255], axis=-1)
