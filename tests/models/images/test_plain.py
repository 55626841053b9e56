"""Which files are bounded by their size and pixels alone."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.images.plain import MAX_PLAIN_BYTES, MAX_PLAIN_PIXELS, is_plain


def written(kind: str, size: tuple[int, int] = (60, 40), mode: str = "RGB", **options) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, 100).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (written("PNG"), True),
        (written("PNG", mode="P"), True),
        (written("JPEG"), True),
        (written("JPEG", mode="L"), True),
        (written("JPEG", restart_marker_blocks=1), True),
        (written("JPEG", exif=Image.Exif().tobytes() + written("JPEG")), True),
        (written("BMP"), True),
        (written("JPEG", progressive=True), False),
        (written("GIF"), False),
        (written("WEBP"), False),
        (written("TIFF"), False),
        (b"", False),
        (b"\xff\xd8", False),
        (written("JPEG")[:-2], False),
        (b"BM" + bytes(28) + b"\x01\0\0\0" + bytes(60), False),
        (written("PNG", (2048, 2048), "1"), True),
        (written("PNG", (2048, 2049), "1"), False),
    ],
)
def test_sequential_files_of_few_pixels_are_plain(data, expected):
    assert MAX_PLAIN_PIXELS == 2048 * 2048
    assert is_plain(data) is expected


@pytest.mark.parametrize(("width", "height"), [(60, -40), (-60, 40), (-60, -40)])
def test_a_bmp_of_rows_from_top_to_bottom_is_plain_too(width: int, height: int) -> None:
    data = bytearray(written("BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    assert is_plain(bytes(data))


def test_a_file_of_just_the_most_bytes_is_plain():
    png = written("PNG")
    assert is_plain(png + bytes(MAX_PLAIN_BYTES - len(png)))
    assert not is_plain(png + bytes(MAX_PLAIN_BYTES - len(png) + 1))


def test_a_file_of_many_parts_or_many_bytes_is_not_plain():
    jpeg = written("JPEG")
    assert is_plain(jpeg[:2] + b"\xff\xe0\0\x02" * 900 + jpeg[2:])
    assert not is_plain(jpeg[:2] + b"\xff\xe0\0\x02" * 1100 + jpeg[2:])
    png = written("PNG")
    chunk = bytes(4) + b"tEXt" + bytes(4)
    assert is_plain(png[:33] + chunk * 900 + png[33:])
    assert not is_plain(png[:33] + chunk * 1100 + png[33:])
    assert is_plain(png + bytes(MAX_PLAIN_BYTES - len(png)))
    assert not is_plain(png + bytes(MAX_PLAIN_BYTES - len(png) + 1))


def test_noise_in_a_scan_is_no_marker():
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", quality=95)
    assert is_plain(stream.getvalue())
