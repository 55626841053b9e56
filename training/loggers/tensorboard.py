"""TensorBoard event files, written without TensorBoard: `tensorboard --logdir RUN` reads them.

The package would bring a web server and gRPC for two small formats. A file is a sequence of
TFRecords: the length as uint64, its checksum, the bytes, their checksum, all little-endian
(https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details"). The bytes are
protocol-buffer messages `Event` (tensorflow/core/util/event.proto): wall time (field 1, double),
step (2, varint), file version (3, string), summary (5), which holds values (1) of a tag (1, string)
and a number (2, float). The checksum is CRC-32C (RFC 3720, polynomial 0x1EDC6F41, reflected
0x82F63B78), rotated by 15 bits and shifted by a constant.
"""

from __future__ import annotations

import shutil
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from maskzoo.training.loggers.scalars import scalars

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8
_VARINT, _DOUBLE, _BYTES, _FLOAT = 0, 1, 2, 5


class TensorBoardFiles:
    """Writes one event file into `folder`, which is emptied first.

    Args:
        clock: seconds since 1970.
    """

    starts_anew = True

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._clock = clock
        name = f"events.out.tfevents.{int(clock())}.{socket.gethostname()}"
        self._file = (folder / name).open("wb")
        version = _field(3, _BYTES, b"brain.Event:2")
        self._append(_field(1, _DOUBLE, clock()) + version)
        self._file.flush()

    def write(self, record: Mapping[str, Any]) -> None:
        """Take one record."""
        values = b"".join(
            _field(1, _BYTES, _field(1, _BYTES, tag.encode()) + _field(2, _FLOAT, number))
            for tag, number in scalars(record).items()
        )
        if not values:
            return
        head = _field(1, _DOUBLE, self._clock()) + _field(2, _VARINT, record["step"])
        self._append(head + _field(5, _BYTES, values))
        if record["kind"] == "val":
            self._file.flush()

    def close(self) -> None:
        """Write what is left."""
        self._file.close()

    def _append(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self._file.write(
            length
            + struct.pack("<I", masked_checksum(length))
            + event
            + struct.pack("<I", masked_checksum(event))
        )


def masked_checksum(data: bytes) -> int:
    """Return the checksum of a TFRecord."""
    checksum = crc32c(data)
    return ((checksum >> 15 | checksum << 17) + _MASK) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """Return CRC-32C (Castagnoli)."""
    checksum = 0xFFFFFFFF
    for byte in data:
        checksum = _TABLE[(checksum ^ byte) & 0xFF] ^ checksum >> 8
    return checksum ^ 0xFFFFFFFF


def _entry(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ (_POLYNOMIAL if value & 1 else 0)
    return value


_TABLE = tuple(_entry(value) for value in range(256))


def _field(number: int, kind: int, value: Any) -> bytes:
    key = _varint(number << 3 | kind)
    if kind == _VARINT:
        return key + _varint(value)
    if kind == _DOUBLE:
        return key + struct.pack("<d", value)
    if kind == _FLOAT:
        return key + struct.pack("<f", value)
    data: bytes = value
    return key + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
