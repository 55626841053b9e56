"""One decoding process, as the server sees it: asked, watched, and killed when it is over a limit.

Files go there and pixels come back as shared memory, which has no name and so leaves nothing
behind, whoever is killed.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.models import errors as zoo
from maskzoo.models.images.decode import DecodedImage, ImageInfo
from maskzoo.models.preprocessing import Bands
from maskzoo.service.decoding.shared import attach
from maskzoo.service.errors import DecodeLimitError, DecoderDiedError

MAX_MESSAGE = 128 * 1024
_MODULE = "maskzoo.service.decoding.worker"
_NAME = 300  # characters of the image's name that go into messages
_ERRORS = {
    kind.__name__: kind
    for kind in (
        zoo.ImageError,
        zoo.ImageBandsError,
        zoo.ImageFormatError,
        zoo.ImageDamagedError,
        zoo.ImageTooLargeError,
    )
}
_CHECK_S = 0.2

Check = Callable[[], None]
"""Called while a process works; an exception ends the waiting for it."""


@dataclass(frozen=True)
class Allowance:
    """What one request may take.

    Args:
        seconds: of the clock, until it is killed.
        memory: bytes, beyond those of the idle process.
    """

    seconds: float
    memory: int


class DecodeProcess:
    """A process that decodes one file at a time; its methods block."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        secret = "MASKZOO_"  # keys and tokens are not for a process that reads hostile files
        env = {key: value for key, value in os.environ.items() if not key.startswith(secret)}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=env | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,  # a pipe would stay open for as long as it works
                start_new_session=True,  # Ctrl-C is for the server
            )

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def header(self, source: bytes | Path, *, name: str, allowed: Allowance) -> ImageInfo:
        """Read the header of a file; see `models.images.decode.read_header`.

        Raises:
            ImageError: as there.
            DecodeLimitError: it takes too long, or too much memory; the process is gone.
            DecoderDiedError: the process died.
        """
        request = {"what": "header", "name": name[:_NAME]}
        answer, _ = self._ask(request, allowed, source=source)
        return ImageInfo(**answer["info"])

    def decode(
        self,
        source: bytes | Path,
        *,
        name: str,
        max_pixels: int | None,
        bands: Bands | None,
        allowed: Allowance,
    ) -> DecodedImage:
        """Decode a file; see `models.images.decode.decode_image`.

        The pixels lie in shared memory, which is freed with the array.

        Raises:
            ImageError, DecodeLimitError, DecoderDiedError: as `header`.
        """
        request = _decoding("decode", name, max_pixels, bands)
        answer, descriptor = self._ask(request, allowed, source=source)
        return DecodedImage(self._pixels(answer, descriptor), ImageInfo(**answer["info"]))

    def open_rows(
        self,
        source: Path,
        header: ImageInfo,
        *,
        name: str,
        max_pixels: int | None,
        bands: Bands | None,
        allowed: Allowance,
        check: Check,
    ) -> ImageInfo | None:
        """Open a TIFF to be read by rows; see `models.images.tiff_rows.open_tiff_rows`.

        Args:
            header: of the file; returned with what was found, or None if it is read as a whole.
            check: called again and again meanwhile; an exception ends the waiting.

        Raises:
            ImageError, DecodeLimitError, DecoderDiedError: as `header`.
        """
        request = _decoding("open", name, max_pixels, bands)
        answer, _ = self._ask(request, allowed, source=source, check=check)
        return replace(header, **answer) if answer else None

    def read_rows(self, top: int, bottom: int, *, allowed: Allowance, check: Check) -> np.ndarray:
        """Return rows of the file that was opened, as `models.images.rows.PixelRows.read`.

        Raises:
            ImageError, DecodeLimitError, DecoderDiedError: as `header`.
        """
        request = {"what": "rows", "top": top, "bottom": bottom}
        return self._pixels(*self._ask(request, allowed, check=check))

    def kill(self) -> None:
        """End the process, whatever it does; called from any thread."""
        self._process.kill()

    def close(self) -> None:
        """End the process and free what belongs to it; called by whoever uses it."""
        self.kill()
        self._socket.close()
        self._process.wait()

    def _ask(
        self,
        request: dict[str, Any],
        allowed: Allowance,
        *,
        source: bytes | Path | None = None,
        check: Check = lambda: None,
    ) -> tuple[dict[str, Any], int | None]:
        request |= {"memory": allowed.memory, "seconds": round(allowed.seconds)}
        files = [] if source is None else [_open(source, request["name"])]
        try:
            self._socket.settimeout(allowed.seconds)
            socket.send_fds(self._socket, [json.dumps(request).encode()], files)
            message, descriptors = self._receive(allowed.seconds, check)
        except TimeoutError:
            self.kill()
            raise DecodeLimitError(f"more than {allowed.seconds:.3g} s") from None
        except OSError:
            raise self._fail() from None
        finally:
            for file in files:
                os.close(file)
        if not message:
            raise self._fail()
        answer = json.loads(message)
        if "error" in answer:
            raise _error_of(answer, allowed)
        return answer, descriptors[0] if descriptors else None

    def _receive(self, seconds: float, check: Check) -> tuple[bytes, list[int]]:
        """Return the next message and its descriptors."""
        end = time.monotonic() + seconds
        while True:
            self._socket.settimeout(max(0.001, min(_CHECK_S, end - time.monotonic())))
            try:
                message, descriptors, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE, 1)
                return message, descriptors
            except TimeoutError:
                check()
                if time.monotonic() >= end:
                    raise

    def _pixels(self, answer: dict[str, Any], descriptor: int | None) -> np.ndarray:
        """Return the pixels of an answer; they lie in shared memory."""
        if descriptor is None:
            raise self._fail()
        try:
            (pixels,) = attach(descriptor, [(answer["shape"], answer["dtype"])])
            return pixels
        except (OSError, ValueError, KeyError):
            raise self._fail() from None
        finally:
            os.close(descriptor)

    def _fail(self) -> DecoderDiedError:
        """Return the error of a process that died or answers nonsense."""
        self.kill()
        return DecoderDiedError()


def _decoding(what: str, name: str, max_pixels: int | None, bands: Bands | None) -> dict[str, Any]:
    return {
        "what": what,
        "name": name[:_NAME],
        "max_pixels": max_pixels,
        "bands": None if bands is None else bands.model_dump(mode="json"),
    }


def _open(source: bytes | Path, name: str) -> int:
    """Return the descriptor of a file, or of memory that holds its bytes."""
    if isinstance(source, Path):
        try:
            return os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise zoo.ImageError(f"{name} cannot be read: {error.strerror}") from None
    file = os.memfd_create("file", os.MFD_CLOEXEC)
    try:
        left = memoryview(source)
        while left:
            left = left[os.write(file, left) :]
        os.lseek(file, 0, os.SEEK_SET)
    except BaseException:
        os.close(file)
        raise
    return file


def _error_of(answer: dict[str, Any], allowed: Allowance) -> zoo.ZooError:
    kind = _ERRORS.get(answer["error"])
    if kind is None:
        return DecodeLimitError(f"more than {allowed.memory / 2**20:.0f} MiB of memory")
    return kind(*answer["args"])
