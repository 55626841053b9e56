"""`Line`: messages with bytes and descriptors between two processes, over a Unix socket.

Each message is one packet: JSON, then bytes as they are. When a process ends, however it ends, the
other end of each of its lines is told so by the kernel.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_BYTES = 64 * 1024
"""Bytes beside the JSON of one message; a socket takes some 200 KiB at a time."""

_MOST_MESSAGE = 192 * 1024
_MOST_DESCRIPTORS = 4
_BACKLOG = 1024
_LENGTH = struct.Struct("<I")


class LineClosedError(Exception):
    """The process at the other end is gone, or has hung up."""


@dataclass(frozen=True)
class Message:
    """One message.

    Args:
        facts: its JSON.
        data: its bytes.
        descriptors: of files that came with it; whoever receives it closes them.
    """

    facts: dict[str, Any]
    data: bytes = b""
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)


class Line:
    """One end of a connection; one task sends and one receives at a time.

    Args:
        end: a connected socket; the line owns it.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end

    @classmethod
    def connect(cls, address: Path) -> Line:
        """Return a new line to the process that listens there.

        Raises:
            LineClosedError: nobody does.
        """
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        end.setblocking(False)
        try:
            end.connect(str(address))
        except OSError as error:
            end.close()
            raise LineClosedError(str(error)) from None
        return cls(end)

    @property
    def is_silent(self) -> bool:
        """Whether the other end is there and has said nothing that was not received."""
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    async def send(
        self, facts: Mapping[str, Any], data: bytes = b"", descriptors: Sequence[int] = ()
    ) -> None:
        """Send one message; the descriptors stay open here.

        Args:
            data: at most `MOST_BYTES`.

        Raises:
            LineClosedError: the other end is gone.
        """
        text = json.dumps(facts).encode()
        packet = [_LENGTH.pack(len(text)), text, data]
        while True:
            try:
                if descriptors:
                    socket.send_fds(self._socket, packet, list(descriptors))
                else:
                    self._socket.sendmsg(packet)
                return
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._ready(loop.add_writer, loop.remove_writer)
            except OSError as error:
                raise LineClosedError(str(error)) from None

    async def receive(self) -> Message:
        """Wait for the next message.

        Raises:
            LineClosedError: the other end is gone.
        """
        while True:
            try:
                packet, descriptors, _, _ = socket.recv_fds(
                    self._socket, _MOST_MESSAGE, _MOST_DESCRIPTORS
                )
                break
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await self._ready(loop.add_reader, loop.remove_reader)
            except ConnectionResetError:
                continue  # told once where the other end left a message unread; its own follow
            except OSError as error:
                raise LineClosedError(str(error)) from None
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # `recv_fds` passes no flag on that would do it
        if not packet:
            raise LineClosedError("the other end has hung up")
        (length,) = _LENGTH.unpack_from(packet)
        start = _LENGTH.size
        facts = json.loads(packet[start : start + length])
        return Message(facts, packet[start + length :], tuple(descriptors))

    async def hung_up(self) -> None:
        """Wait until the other end hangs up, or says something."""
        while self.is_silent:
            loop = asyncio.get_running_loop()
            await self._ready(loop.add_reader, loop.remove_reader)

    def hang_up(self) -> None:
        """End the connection; whoever waits on it here or there gets a LineClosedError."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up, and free the socket; nobody here waits on it."""
        self._socket.close()

    async def _ready(self, add: Callable[..., object], remove: Callable[[int], object]) -> None:
        """Wait until the socket can be read, or written."""
        number = self._socket.fileno()
        if number < 0:
            raise LineClosedError("the line was closed here")
        ready = asyncio.get_running_loop().create_future()
        add(number, _set, ready)
        try:
            await ready
        finally:
            remove(number)


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class Listener:
    """Takes the lines that other processes open.

    Args:
        address: path of the socket; at most some 100 characters.
    """

    def __init__(self, address: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            address.unlink()  # of a process that was killed
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.bind(str(address))
        self._socket.listen(_BACKLOG)
        self._socket.setblocking(False)

    async def accept(self) -> Line:
        """Wait for the next line."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return Line(self._socket.accept()[0])
            except BlockingIOError:
                ready = loop.create_future()
                loop.add_reader(self._socket.fileno(), _set, ready)
                try:
                    await ready
                finally:
                    loop.remove_reader(self._socket.fileno())

    def close(self) -> None:
        """Take no more lines."""
        self._socket.close()
