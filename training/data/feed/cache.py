"""A cache of decoded samples, bounded in bytes and shared by the processes of a loader.

The sizes of all samples are known beforehand, so each sample that fits has its place in an
anonymous shared mapping; the process that decodes it first fills the place for all. Where processes
are not forked, the mapping cannot be handed on, and each keeps an even part of its own.

The order of samples settles which are kept, not their use: every epoch visits every sample once,
and a least-recently-used rule would evict each sample just before its turn.
"""

from __future__ import annotations

import mmap
import multiprocessing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from maskzoo.models.errors import DataError

Pixels = npt.NDArray[np.uint8]


class DecodeCache:
    """The cache of the decoded samples of a split.

    Args:
        images: files of all samples, for the message of one that has changed.
        sizes: upright (H, W) of each.
        max_bytes: bound for all processes together.
        num_processes: number of processes that will use it.
        channels: C of the images.
    """

    def __init__(
        self,
        images: Sequence[Path],
        sizes: Sequence[tuple[int, int]],
        *,
        max_bytes: int,
        num_processes: int = 1,
        channels: int = 3,
    ) -> None:
        self._channels = channels
        self._images = images
        self._sizes = list(sizes)
        self._own_bytes = max_bytes // max(1, num_processes)
        self._allocate(max_bytes)

    @property
    def num_bytes(self) -> int:
        """Size of the full cache."""
        return self._num_bytes

    def get(self, index: int) -> tuple[Pixels, Pixels] | None:
        """Return image (H, W, C) and mask (H, W) of a sample, read-only, or None."""
        start = self._starts.get(index)
        if start is None:
            return None
        with self._lock:  # a memory barrier, so that the pixels are there when the flag is
            filled = self._filled[index]
        return self._views(index, start, writeable=False) if filled else None

    def put(self, index: int, image: Pixels, mask: Pixels) -> None:
        """Keep a decoded sample if it has a place.

        Raises:
            DataError: the size of the image has changed.
        """
        height, width = self._sizes[index]
        if image.shape[:2] != (height, width):
            raise DataError(
                f"{self._images[index]} has changed: it was {width} x {height} when the "
                f"run started and is {image.shape[1]} x {image.shape[0]} now; restore the file and "
                "resume the run"
            )
        start = self._starts.get(index)
        if start is not None:
            ours, theirs = self._views(index, start, writeable=True)
            ours[...] = image
            theirs[...] = mask
            with self._lock:
                self._filled[index] = 1

    def __getstate__(self) -> dict[str, Any]:
        left = ("_buffer", "_filled", "_lock", "_starts", "_num_bytes")
        return {name: value for name, value in self.__dict__.items() if name not in left}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._allocate(self._own_bytes)

    def _allocate(self, max_bytes: int) -> None:
        self._starts: dict[int, int] = {}
        self._num_bytes = 0
        for index, (height, width) in enumerate(self._sizes):
            needed = (self._channels + 1) * height * width
            if self._num_bytes + needed <= max_bytes:
                self._starts[index] = self._num_bytes
                self._num_bytes += needed
        # Pages of an anonymous mapping cost nothing before they are written to.
        self._buffer = mmap.mmap(-1, max(1, self._num_bytes))
        self._filled = mmap.mmap(-1, max(1, len(self._sizes)))
        self._lock = multiprocessing.Lock()

    def _views(self, index: int, start: int, *, writeable: bool) -> tuple[Pixels, Pixels]:
        height, width = self._sizes[index]
        area = height * width
        image = self._channels * area
        flat = np.frombuffer(self._buffer, np.uint8, image + area, start)
        flat.flags.writeable = writeable
        return flat[:image].reshape(height, width, -1), flat[image:].reshape(height, width)
