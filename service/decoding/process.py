"""One decoding process, as the server sees it: asked, watched, and killed when it is over a limit.

Files go there and pixels come back as shared memory, which has no name and so leaves nothing
behind, whoever is killed.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskzoo.models import errors as zoo
from maskzoo.models.images.decode import DecodedImage, ImageInfo
from maskzoo.models.preprocessing import Bands
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
_TYPES = ("uint8", "uint16", "float32")


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
        answer, _ = self._ask(source, {"what": "header", "name": name[:_NAME]}, allowed)
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
        request = {
            "what": "decode",
            "name": name[:_NAME],
            "max_pixels": max_pixels,
            "bands": None if bands is None else bands.model_dump(mode="json"),
        }
        answer, descriptor = self._ask(source, request, allowed)
        if descriptor is None:
            raise self._fail()
        try:
            pixels = _map(descriptor, answer["shape"], answer["dtype"])
        except (OSError, ValueError, KeyError):
            raise self._fail() from None
        finally:
            os.close(descriptor)
        return DecodedImage(pixels, ImageInfo(**answer["info"]))

    def kill(self) -> None:
        """End the process, whatever it does; called from any thread."""
        self._process.kill()

    def close(self) -> None:
        """End the process and free what belongs to it; called by whoever uses it."""
        self.kill()
        self._socket.close()
        self._process.wait()

    def _ask(
        self, source: bytes | Path, request: dict[str, Any], allowed: Allowance
    ) -> tuple[dict[str, Any], int | None]:
        request |= {"memory": allowed.memory, "seconds": round(allowed.seconds)}
        self._socket.settimeout(allowed.seconds)
        file = _open(source, request["name"])
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], [file])
            message, descriptors, _, _ = socket.recv_fds(self._socket, MAX_MESSAGE, 1)
        except TimeoutError:
            self.kill()
            raise DecodeLimitError(f"more than {allowed.seconds:.3g} s") from None
        except OSError:
            raise self._fail() from None
        finally:
            os.close(file)
        if not message:
            raise self._fail()
        answer = json.loads(message)
        if "error" in answer:
            raise _error_of(answer, allowed)
        return answer, descriptors[0] if descriptors else None

    def _fail(self) -> DecoderDiedError:
        """Return the error of a process that died or answers nonsense."""
        self.kill()
        return DecoderDiedError()


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


def _map(descriptor: int, shape: list[int], dtype: str) -> np.ndarray:
    """Return the array in shared memory; that it can shrink would be a bus error waiting."""
    import fcntl  # only on Unix; `pool` asks for these processes only on Linux

    if dtype not in _TYPES or not all(type(side) is int and side > 0 for side in shape):
        raise ValueError
    if not fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
        raise ValueError
    mapped = mmap.mmap(descriptor, 0)
    return np.frombuffer(mapped, dtype).reshape(shape)


def _error_of(answer: dict[str, Any], allowed: Allowance) -> zoo.ZooError:
    kind = _ERRORS.get(answer["error"])
    if kind is None:
        return DecodeLimitError(f"more than {allowed.memory / 2**20:.0f} MiB of memory")
    return kind(*answer["args"])
