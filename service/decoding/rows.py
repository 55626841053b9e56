"""A TIFF that is read a few rows at a time, in a process of its own that may be killed.

A tile or strip may unpack to any size, take any time, or bring its decoder down; here each reading
has limits, and a job that is stopped waits for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from maskzoo.service.errors import DecoderDiedError

if TYPE_CHECKING:
    from maskzoo.models.images.decode import ImageInfo
    from maskzoo.models.preprocessing import Bands
    from maskzoo.service.decoding.process import Allowance, Check, DecodeProcess


class DecodedRows:
    """The rows of one file, as `models.images.rows.PixelRows`; its methods block.

    Args:
        process: that reads it, and nothing else meanwhile.
        header: of the file.
        allow: the limits of reading so many of its pixels.
        check: called again and again while it reads; an exception ends the reading.
        end: ends the process.
    """

    def __init__(
        self,
        process: DecodeProcess,
        header: ImageInfo,
        *,
        allow: Callable[[int], Allowance],
        check: Check,
        end: Callable[[DecodeProcess], None],
    ) -> None:
        self.height, self.width = header.height, header.width
        self.info = header
        self._process = process
        self._allow = allow
        self._check = check
        self._end = end

    def open(
        self,
        source: Path,
        *,
        name: str,
        max_pixels: int | None,
        bands: Bands | None,
        allowed: Allowance,
    ) -> bool:
        """Open the file; False if it is one that is read as a whole.

        Raises:
            ImageError, DecodeLimitError, DecoderDiedError: as `DecodeProcess.open_rows`.
        """
        with self._checked():
            info = self._process.open_rows(
                source,
                self.info,
                name=name,
                max_pixels=max_pixels,
                bands=bands,
                allowed=allowed,
                check=self._check,
            )
        self.info = info or self.info
        return info is not None

    def read(self, top: int, bottom: int) -> np.ndarray:
        """Return rows `top` to `bottom` as uint8 (rows, W, 3) RGB, or (rows, W, C) of bands.

        Raises:
            ImageDamagedError: these rows are corrupt.
            DecodeLimitError, DecoderDiedError: as `DecodeProcess.read_rows`.
        """
        allowed = self._allow((bottom - top) * self.width)
        with self._checked():
            return self._process.read_rows(top, bottom, allowed=allowed, check=self._check)

    def close(self) -> None:
        """End the process."""
        self._end(self._process)

    @contextmanager
    def _checked(self) -> Iterator[None]:
        """Check once more where the process died: it is killed when the server ends."""
        try:
            yield
        except DecoderDiedError:
            self._check()
            raise
