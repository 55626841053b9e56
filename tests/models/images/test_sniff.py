"""Formats by their first bytes, and sizes that are looked at before a decoder sees them."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

import pytest
from PIL import Image

from maskzoo.models.errors import ImageFormatError, ImageTooLargeError
from maskzoo.models.images.decode import decode_image, read_header
from maskzoo.models.images.sniff import gif_size
from tests.models.images.files import encode, scene


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"hello, world", "not a readable image; allowed are JPEG, PNG"),
        (b"%PDF-1.7 ...", "is PDF"),
        (b"<svg xmlns='...'/>", "is SVG"),
        (b"\0\0\0\x20ftypheic\0\0\0\0", "is HEIC"),
        (b"\0\0\0\x20ftypavif\0\0\0\0", "is AVIF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "is JPEG 2000"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is PostScript"),
    ],
)
def test_other_formats_are_refused_by_name(data, reason):
    for read in (decode_image, read_header):
        with pytest.raises(ImageFormatError, match=f"photo.*{reason}"):
            read(data, name="photo")


@pytest.mark.parametrize("other", ["PPM", "TGA", "ICO", "PCX", "SGI"])
def test_formats_that_pillow_could_open_are_refused(other):
    with pytest.raises(ImageFormatError):
        decode_image(encode(Image.fromarray(scene()), other))


def _bombs() -> dict[str, bytes]:
    side = 30_000
    empty = zlib.compress(bytes(10))
    lines = struct.pack(">I", len(empty)) + b"IDAT" + empty + struct.pack(">I", 0)
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    gif = b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0)
    wide = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0)
    frame = b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x00;"
    small = encode(Image.fromarray(scene()), "JPEG")
    at = small.index(b"\xff\xc0") + 5
    bmp = bytearray(encode(Image.fromarray(scene()), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    tiff = encode(Image.fromarray(scene()), "TIFF")
    for tag in (256, 257):
        entry = tiff.index(struct.pack("<H", tag))
        tiff = tiff[:entry] + struct.pack("<HHII", tag, 4, 1, side) + tiff[entry + 12 :]
    canvas = (16_383).to_bytes(3, "little") * 2
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    webp = b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
    return {
        "PNG": start + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + lines,
        "GIF": gif + frame,
        "GIF whose frame is larger than its canvas": wide + frame,
        "JPEG": small[:at] + struct.pack(">HH", side, side) + small[at + 4 :],
        "BMP": bytes(bmp),
        "TIFF": tiff,
        "WebP": webp,
    }


@pytest.mark.parametrize("kind", sorted(_bombs()))
def test_a_bomb_is_refused_by_its_header_without_a_warning(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageTooLargeError, match="megapixels"):
            decode_image(_bombs()[kind])


@pytest.mark.parametrize(
    ("canvas", "frame", "size"),
    [
        ((10, 20), (0, 0, 10, 20), (10, 20)),
        ((10, 20), (5, 0, 30, 4), (35, 20)),  # the frame reaches over the canvas: it grows
        ((10, 20), (0, 7, 4, 30), (10, 37)),
    ],
)
@pytest.mark.parametrize("colours", [0, 8])
def test_the_size_of_a_gif_holds_its_first_frame(canvas, frame, size, colours):
    flags = 0x80 | 2 if colours else 0
    comment = b"\x21\xfe\x03abc\x02de\x00"
    data = b"GIF89a" + struct.pack("<HHBBB", *canvas, flags, 0, 0) + bytes(3 * colours)
    assert gif_size(io.BytesIO(data + comment + b"," + struct.pack("<HHHH", *frame)), "x") == size
