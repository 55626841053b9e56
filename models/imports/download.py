"""Download of one file: continued where it was cut off, checked by its hash, complete or absent.

The bytes go to `FILE.part`, and the file appears under its name once its SHA-256 is right. A
transfer that breaks is continued by a request for the rest (`Range`); a server that sends the whole
file again is read from the start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx

from maskzoo.models.errors import WeightsError
from maskzoo.models.weights.checkpoint import sha256_of

TRIES = 5
"""How often in a row a transfer may break without a single new byte."""

OnBytes = Callable[[int, int | None], None]
"""Told the bytes that are there, and how many there will be if the server says so."""

_TIMEOUT_S = 30.0  # for a connection, and between two pieces


def download(
    url: str,
    path: Path,
    *,
    sha256_start: str = "",
    on_bytes: OnBytes = lambda done, total: None,
    client: httpx.Client | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Return `path`, after its download if it is not there.

    Args:
        url: of the file.
        path: where it goes; its folder is made.
        sha256_start: first digits of its SHA-256; empty checks nothing.
        on_bytes: called after each piece; an exception ends the download, which continues next
            time.
        client: sends the requests; None makes one.
        pause: waits for seconds, between two tries.

    Raises:
        WeightsError: there is no such file, the server cannot be reached, or the file is another
            one; what was fetched stays for the next try, unless it is wrong.
    """
    if path.is_file() and sha256_of(path).startswith(sha256_start):
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with client or httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True) as requests:
        _fetch(requests, url, part, on_bytes, pause)
    found = sha256_of(part)
    if not found.startswith(sha256_start):
        part.unlink()
        raise WeightsError(
            f"{url} is not the published file: its sha256 begins with {found[:8]}, and must with "
            f"{sha256_start}; it was deleted, so try again or take another mirror"
        )
    part.replace(path)
    return path


def _fetch(
    client: httpx.Client,
    url: str,
    part: Path,
    on_bytes: OnBytes,
    pause: Callable[[float], None],
) -> None:
    """Fill `part`, in as many requests as it takes; a server never reached is asked once."""
    failures = 0
    was_reached = False
    while True:
        before = _size(part)
        try:
            _request(client, url, part, on_bytes)
            return
        except httpx.TransportError as error:
            failures = 0 if _size(part) > before else failures + 1
            was_reached = was_reached or not isinstance(error, httpx.ConnectError)
            if failures >= TRIES or not was_reached:
                raise WeightsError(
                    f"{url} cannot be fetched: {type(error).__name__}: {error}; {before} bytes are "
                    f"in {part}, and the next try continues there. On a machine without a network, "
                    "name a server that it reaches (--mirror), or fetch the file elsewhere and "
                    "give it to `maskzoo import mmseg FILE -o BUNDLE`"
                ) from error
            pause(2.0**failures)


def _request(client: httpx.Client, url: str, part: Path, on_bytes: OnBytes) -> None:
    """Append what one request gives; the transfer may break at any byte."""
    start = _size(part)
    headers = {"Range": f"bytes={start}-"} if start else {}
    with client.stream("GET", url, headers={"Accept-Encoding": "identity", **headers}) as answer:
        if answer.status_code == 416:  # nothing is left behind `start`: all is there, or too much
            if answer.headers.get("Content-Range") != f"bytes */{start}":
                part.unlink()
                raise httpx.RemoteProtocolError("the part is longer than the file; starting anew")
            return
        if answer.status_code >= 500:
            raise httpx.RemoteProtocolError(f"the server answers {answer.status_code}")
        if answer.status_code not in (200, 206):
            raise WeightsError(f"{url} cannot be fetched: the server answers {answer.status_code}")
        continues = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        start = start if answer.status_code == 206 and continues else 0
        if answer.status_code == 206 and not start:
            part.unlink(missing_ok=True)
            raise httpx.RemoteProtocolError("the server sends another range; starting anew")
        length = answer.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        with part.open("ab" if start else "wb") as file:
            for piece in answer.iter_bytes():
                file.write(piece)
                start += len(piece)
                on_bytes(start, total)
        if total is not None and start != total:
            raise httpx.RemoteProtocolError(f"{start} of {total} bytes came")


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
