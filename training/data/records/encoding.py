"""Encoding of masks: the table from stored values or colours to class ids.

Class ids are uint8. `IGNORE` marks pixels that neither train the network nor count in its scores.
With `nearest`, a code that is not listed takes the class of the closest code that is: the cure for
JPEG noise and anti-aliased edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError
from maskzoo.training.data.records.rawmask import CodeKind, RawMask

IGNORE = 255
MAX_CLASSES = 254
_CODES_AT_ONCE = 4096  # bounds the memory of the table of distances


@dataclass(frozen=True)
class MaskEncoding:
    """The table from codes to class ids.

    Args:
        kind: whether codes are stored values (palette indices too) or packed 0xRRGGBB colours.
        table: pairs (code, class id); id `IGNORE` for pixels to ignore.
        nearest: an unlisted code takes the class of the closest listed one.
    """

    kind: CodeKind
    table: tuple[tuple[int, int], ...]
    nearest: bool = False

    @property
    def codes(self) -> dict[int, int]:
        """The table as a dict."""
        return dict(self.table)

    def closest(self, code: int) -> int:
        """Return the class id of the listed code that is nearest to `code`."""
        return int(self.closest_ids(np.array([code]))[0])

    def closest_ids(self, values: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
        """Return the class id of the closest listed code for each of `values`, shape (n,)."""
        codes = np.array([code for code, _ in self.table])
        labels = np.array([label for _, label in self.table], np.uint8)
        points, listed = _as_points(values, self.kind), _as_points(codes, self.kind)
        result = np.empty(len(values), np.uint8)
        for start in range(0, len(values), _CODES_AT_ONCE):
            part = points[start : start + _CODES_AT_ONCE, None, :] - listed[None, :, :]
            result[start : start + _CODES_AT_ONCE] = labels[(part**2).sum(-1).argmin(1)]
        return result

    def codes_of(self, raw: RawMask) -> npt.NDArray[np.integer]:
        """Return the codes of `raw` in this encoding's kind.

        Raises:
            DataError: the mask holds colours and the encoding lists values.
        """
        if self.kind == "colours":
            return raw.as_colours()
        if raw.kind == "colours":
            raise DataError(
                "the file holds colours, but the data set is described by values; export this mask "
                "again, or describe all masks with `encoding: colours`"
            )
        return raw.codes


def _as_points(codes: npt.NDArray[np.integer], kind: CodeKind) -> npt.NDArray[np.int64]:
    """Return codes as points (n, 1) on the grey line or (n, 3) in RGB."""
    numbers = codes.astype(np.int64)
    if kind == "values":
        return numbers[:, None]
    return np.stack([numbers >> 16, (numbers >> 8) & 255, numbers & 255], axis=-1)
