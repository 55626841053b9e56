"""The decoder of the service: plain files in a thread, all others in processes with limits.

A process costs a request 0.4 ms and a copy of the pixels (measured: 0.7 and 1.1 ms for a JPEG of 64
x 64, 50 and 76 ms for 2048 x 2048, 0.4 s for the first file, which starts it). That
is little beside a network and much beside a small image, of which there are many. So files whose
cost their size and pixels bound (`models.images.plain`) are decoded in a thread, and whatever
else may come is decoded where it can be stopped: at a limit of time or memory, when its request
ends, and when the server does. Each server process has its own pool.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from maskzoo.models.images.decode import DecodedImage, ImageInfo
from maskzoo.models.images.plain import is_plain
from maskzoo.models.preprocessing import Bands
from maskzoo.service.decoding.process import Allowance, Check, DecodeProcess
from maskzoo.service.decoding.rows import DecodedRows
from maskzoo.service.decoding.shared import HAS_SHARED_MEMORY
from maskzoo.service.errors import DecodeLimitError, DecoderDiedError, StoppedError

T = TypeVar("T")

_USUAL_PIXELS = 50_000_000  # of an image that may take the whole limit of time
_SPARE_BYTES = 256 * 2**20
_COPIES_OF_FILE = 3
_COPIES_OF_SAMPLES = 4
_SEGMENTS_BYTES = 6 * 256_000_000  # copies of a row of segments; see `models.images.tiff_rows`
_OTHER_BYTES = 24  # for each pixel: RGB, its upright copy, what lies over white


class Decoder:
    """Reads headers and pixels of untrusted files in processes of its own.

    Args:
        processes: that may work at the same time; each starts when it is first needed.
        limit_s: seconds for one file of up to 50 megapixels, and in proportion for larger ones.
    """

    def __init__(self, processes: int, *, limit_s: float) -> None:
        self.limit_s = limit_s
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="decode")
        self._lock = threading.Lock()
        self._idle: list[DecodeProcess] = []
        self._all: set[DecodeProcess] = set()
        self._is_closed = False

    @staticmethod
    def takes(source: bytes | Path) -> bool:
        """Return whether a file is for these processes; a thread may decode all others.

        Only Linux has the shared memory that they need; elsewhere threads decode every file.
        """
        return HAS_SHARED_MEMORY and (isinstance(source, Path) or not is_plain(source))

    async def header(self, source: bytes | Path, *, name: str) -> ImageInfo:
        """Return the facts in a file's header.

        Raises:
            ImageError: as `models.images.decode.read_header`.
            DecodeLimitError: it takes too much time or memory.
            DecoderDiedError: its process died.
            StoppedError: the decoder was closed.
        """
        allowed = Allowance(self.limit_s, 2 * _SPARE_BYTES + _COPIES_OF_FILE * _size(source))
        return await self._run(lambda process: process.header(source, name=name, allowed=allowed))

    async def decode(
        self,
        source: bytes | Path,
        header: ImageInfo,
        *,
        name: str,
        max_pixels: int | None,
        bands: Bands | None = None,
    ) -> DecodedImage:
        """Return the pixels of a file with that header.

        Raises:
            ImageError: as `models.images.decode.decode_image`.
            DecodeLimitError, DecoderDiedError, StoppedError: as `header`.
        """
        pixels = header.width * header.height
        allowed = self._allow(source, pixels=pixels, num_bytes=_bytes_of(header, pixels))
        return await self._run(
            lambda process: process.decode(
                source, name=name, max_pixels=max_pixels, bands=bands, allowed=allowed
            )
        )

    def open_rows(
        self,
        source: Path,
        header: ImageInfo,
        *,
        name: str,
        max_pixels: int | None,
        bands: Bands | None = None,
        check: Check = lambda: None,
    ) -> DecodedRows | None:
        """Open a TIFF that is read a few rows at a time, in a process of its own; blocks.

        Args:
            check: called again and again while it works; an exception ends the work.

        Returns:
            None for those that are read as a whole.

        Raises:
            ImageError: as `models.images.rows.open_image`.
            DecodeLimitError, DecoderDiedError, StoppedError: as `header`; also while rows are read.
        """

        def check_both() -> None:
            check()
            if self._is_closed:
                raise StoppedError("the service is stopping; send the request again")

        def allow(pixels: int) -> Allowance:
            num_bytes = segments + _bytes_of(header, pixels)
            return self._allow(source, pixels=pixels, num_bytes=num_bytes)

        pixels = header.width * header.height
        segments = min(_bytes_of(header, pixels), _SEGMENTS_BYTES)
        opening = self._allow(source, pixels=pixels, num_bytes=segments)
        process = self._take(is_fresh=True)
        rows = DecodedRows(process, header, allow=allow, check=check_both, end=self._drop)
        try:
            if rows.open(source, name=name, max_pixels=max_pixels, bands=bands, allowed=opening):
                return rows
        except BaseException:
            rows.close()
            raise
        self._give_back(process)
        return None

    def close(self) -> None:
        """Kill all processes, whatever they do; requests that wait for one get StoppedError."""
        with self._lock:
            self._is_closed = True
            for process in self._all:
                process.kill()
            idle, self._idle = self._idle, []
        for process in idle:
            self._drop(process)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _allow(self, source: bytes | Path, *, pixels: int, num_bytes: int) -> Allowance:
        """Return the limits of going over so many pixels, with so many bytes for them."""
        return Allowance(
            self.limit_s * max(1, pixels / _USUAL_PIXELS),
            _SPARE_BYTES + _COPIES_OF_FILE * _size(source) + num_bytes,
        )

    async def _run(self, work: Callable[[DecodeProcess], T]) -> T:
        """Run work on a process in a thread; kill the process when the caller is cancelled."""
        if self._is_closed:
            raise StoppedError("the service is stopping; send the request again")
        held: list[DecodeProcess] = []
        is_wanted = True

        def run() -> T:
            process = self._take()
            held.append(process)
            try:
                if not is_wanted:
                    raise StoppedError("the work was stopped")
                result = work(process)
            except (DecodeLimitError, DecoderDiedError):
                held.clear()
                self._drop(process)
                if self._is_closed:
                    raise StoppedError("the service is stopping; send the request again") from None
                raise
            except BaseException:
                held.clear()
                self._give_back(process)
                raise
            held.clear()  # from here on it is another request's
            self._give_back(process)
            return result

        running = asyncio.get_running_loop().run_in_executor(self._threads, run)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            is_wanted = False
            if self._is_closed and running.cancelled():
                raise StoppedError("the service is stopping; send the request again") from None
            running.cancel()
            for process in tuple(held):
                process.kill()
            raise

    def _take(self, *, is_fresh: bool = False) -> DecodeProcess:
        with self._lock:
            if self._is_closed:
                raise StoppedError("the service is stopping; send the request again")
            if self._idle and not is_fresh:
                return self._idle.pop()
            process = DecodeProcess()
            self._all.add(process)
            return process

    def _give_back(self, process: DecodeProcess) -> None:
        with self._lock:
            if not self._is_closed and process.is_alive:
                self._idle.append(process)
                return
        self._drop(process)

    def _drop(self, process: DecodeProcess) -> None:
        process.close()
        with self._lock:
            self._all.discard(process)


def _bytes_of(header: ImageInfo, pixels: int) -> int:
    """Return the memory for so many pixels of a file while they are decoded."""
    samples = header.bands * max(1, header.bit_depth // 8)
    return pixels * (_COPIES_OF_SAMPLES * samples + _OTHER_BYTES)


def _size(source: bytes | Path) -> int:
    if isinstance(source, bytes):
        return len(source)
    try:
        return source.stat().st_size
    except OSError:
        return 0  # reading it will say why
