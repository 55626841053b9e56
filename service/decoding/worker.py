"""The decoding process: `python -m maskzoo.service.decoding.worker FD`.

It reads requests from a socket until that is closed. A request is one message: JSON, and the
descriptor of a file unless it asks for rows of the file that was opened before. The answer is one
message: JSON, and for pixels the descriptor of shared memory that can no longer shrink. Both
processes check what they receive, and neither unpickles.

The process is small: it imports the decoders and neither torch nor the service.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskzoo.models.errors import ImageError, ImageTooLargeError
from maskzoo.models.images.decode import decode_image, read_header
from maskzoo.models.images.sniff import sniff_format, webp_size
from maskzoo.models.preprocessing import Bands
from maskzoo.service.decoding.shared import share

if TYPE_CHECKING:
    from maskzoo.models.images.tiff_rows import TiffRows

MAX_MESSAGE = 128 * 1024
_LIKELY_VICTIM = "800"  # of the kernel when memory runs out: this process and not the server
_NO_DECODER = "could not create decoder object"  # Pillow's, of a WebP whose header was good
_PAGE = resource.getpagesize()


def serve(connection: socket.socket) -> None:
    """Answer requests until the other end is closed."""
    worker = _Worker()
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, MAX_MESSAGE, 1)
        if not message:
            return
        answer, pixels = worker.answer(json.loads(message), *descriptors)
        socket.send_fds(
            connection, [json.dumps(answer).encode()], [] if pixels is None else [pixels]
        )
        if pixels is not None:
            os.close(pixels)


class _Worker:
    """Answers requests; holds the file that is read by rows."""

    def __init__(self) -> None:
        self._rows: TiffRows | None = None

    def answer(
        self, request: dict[str, Any], source: int | None = None
    ) -> tuple[dict[str, Any], int | None]:
        """Return the answer to one request, and the descriptor of its pixels."""
        _limit(memory=request["memory"], seconds=request["seconds"])
        try:
            if source is None:
                assert self._rows is not None, "it was opened before"
                return _shared(self._rows.read(request["top"], request["bottom"]))
            with os.fdopen(source, "rb") as file:
                if request["what"] == "open":
                    return self._open(request, source), None
                data = file.read()
            if request["what"] == "header":
                return _header(request, data), None
            return _decode(request, data)
        except ImageTooLargeError as error:
            return {"error": "ImageTooLargeError", "args": list(error.members().values())}, None
        except ImageError as error:
            if _is_out_of_memory(error, is_header=request["what"] == "header"):
                return {"error": "MemoryError", "args": []}, None
            return {"error": type(error).__name__, "args": [str(error)]}, None
        except MemoryError:
            return {"error": "MemoryError", "args": []}, None

    def _open(self, request: dict[str, Any], source: int) -> dict[str, Any]:
        from maskzoo.models.images.tiff_rows import open_tiff_rows  # loaded by `main`

        self._rows = open_tiff_rows(
            Path(f"/proc/self/fd/{source}"),
            bands=_bands(request),
            max_pixels=request["max_pixels"],
            name=request["name"],
        )
        rows = self._rows
        return {} if rows is None else {"alpha": rows.alpha, "scaling": rows.scaling}


def _header(request: dict[str, Any], data: bytes) -> dict[str, Any]:
    name, memory = request["name"], request["memory"]
    _limit(memory=memory + _canvas_bytes(data, name), seconds=request["seconds"])
    return {"info": read_header(data, name=name).to_json()}


def _decode(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], int]:
    decoded = decode_image(
        data, bands=_bands(request), max_pixels=request["max_pixels"], name=request["name"]
    )
    about, shared = _shared(decoded.pixels)
    return {"info": decoded.info.to_json(), **about}, shared


def _bands(request: dict[str, Any]) -> Bands | None:
    return None if request["bands"] is None else Bands.model_validate(request["bands"])


def _shared(pixels: np.ndarray) -> tuple[dict[str, Any], int]:
    """Return the shape and type of pixels, and the descriptor of shared memory with them."""
    return {"shape": list(pixels.shape), "dtype": str(pixels.dtype)}, share([pixels])


def _canvas_bytes(data: bytes, name: str) -> int:
    """Return what the reader of WebP reserves for the canvas, and does not touch, with a header."""
    if sniff_format(io.BytesIO(data), name) != "WEBP":
        return 0
    width, height = webp_size(io.BytesIO(data), name)
    return 2 * 4 * width * height


def _is_out_of_memory(error: BaseException | None, *, is_header: bool) -> bool:
    """Return whether an error is, or was caused by, too little memory."""
    while error is not None:
        # Our own errors repeat the client's name of the file, which may hold any word.
        text = "" if isinstance(error, ImageError) else str(error).lower()
        if isinstance(error, MemoryError) or "memory" in text:
            return True
        if not is_header and _NO_DECODER in text:
            return True
        error = error.__cause__ or error.__context__
    return False


def _limit(*, memory: int, seconds: int) -> None:
    """Limit what the next request may add in memory and take in processor time."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    _set_soft(resource.RLIMIT_AS, pages * _PAGE + memory)
    used = resource.getrusage(resource.RUSAGE_SELF)
    # The server ends this process in time; where the server was killed, the kernel does.
    _set_soft(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + seconds)


def _set_soft(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, hard))


def main(descriptor: int) -> None:
    """Serve the socket of that descriptor."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the server decides when this process ends
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write(_LIKELY_VICTIM)
    import maskzoo.models.images.tiff_rows  # noqa: F401  # before any limit of memory is set

    with socket.socket(fileno=descriptor) as connection, contextlib.suppress(BrokenPipeError):
        serve(connection)


if __name__ == "__main__":
    main(int(sys.argv[1]))
