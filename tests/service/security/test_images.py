"""Hostile images: each is refused, or answered, in words and in little memory; none is a 500."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """Return a PNG with any header, and zeros for as many pixels as fit into a small file."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    rows = zlib.compress(bytes(min((width + 1) * height, 1 << 20)), 9)
    return SIGNATURE + header + b"".join(chunks) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bmp_of(width: int, height: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + bytes(64)


def jpeg_of(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16)).save(stream, "JPEG")
    data = bytearray(stream.getvalue())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_of(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("P", (4, 4)).save(stream, "GIF")
    data = bytearray(stream.getvalue())
    data[6:10] = struct.pack("<HH", width, height)
    frame = data.index(b"\x2c", 13)
    data[frame + 5 : frame + 9] = struct.pack("<HH", width, height)
    return bytes(data)


def tiff_of(width: int, height: int) -> bytes:
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1)]
    tags += [(262, 3, 1, 1), (273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 64)]
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + bytes(4)
    return head + bytes(200 - len(head)) + bytes(64)


BOMBS = {
    "png": png_of(30_000, 30_000),
    "png-widest": png_of(2**31 - 1, 2**31 - 1),
    "png-16-bit": png_of(60_000, 60_000, depth=16, colour=6),
    "bmp": bmp_of(40_000, 40_000),
    "bmp-upside-down": bmp_of(40_000, -40_000),
    "jpeg": jpeg_of(65_500, 65_500),
    "gif": gif_of(65_535, 65_535),
    "tiff": tiff_of(100_000, 100_000),
    "tiff-widest": tiff_of(2**32 - 1, 2**32 - 1),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_by_its_header(client, counted_model, name):
    assert len(BOMBS[name]) < 20_000, "a bomb is small"
    answer = client.post("/segment", content=BOMBS[name])
    assert answer.status_code == 413, answer.text
    document = answer.json()
    assert document["type"].endswith("too-many-pixels")
    assert document["width"] * document["height"] > document["max_pixels"]


def text_bomb() -> bytes:
    return png_of(4, 4, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 << 20), 9)))


def profile_bomb() -> bytes:
    return png_of(4, 4, chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(80 << 20), 9)))


def animation() -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("P", (8, 8), number % 256) for number in range(300)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


ODD = {
    "text-bomb": text_bomb,
    "profile-bomb": profile_bomb,
    "animation": animation,
    "no-pixels": lambda: png_of(0, 0),
    "no-width": lambda: png_of(0, 5),
    "one-pixel": lambda: png_of(1, 1),
    "one-row": lambda: png_of(5_000, 1),
    "short-data": lambda: png_of(2_000, 2_000),
    "odd-depth": lambda: png_of(4, 4, depth=7),
    "odd-colour": lambda: png_of(4, 4, colour=9),
    "no-palette": lambda: png_of(4, 4, colour=3),
    "wrong-checksum": lambda: png_of(4, 4)[:-4] + b"xxxx",
    "endless-chunk": lambda: SIGNATURE + struct.pack(">I", 2**31 - 1) + b"IDAT",
    "html-behind": lambda: png_of(4, 4) + b"<script>alert(1)</script>",
    "zip-behind": lambda: png_of(4, 4) + b"PK\x03\x04" + bytes(100),
    "gif-and-script": lambda: b"GIF89a/*" + bytes(20) + b"*/=1;alert(1)//",
    "svg": lambda: b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "html": lambda: b"<!doctype html><script>alert(1)</script>",
    "pdf": lambda: b"%PDF-1.7\n" + bytes(100),
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "pickle": lambda: b"\x80\x04\x95" + bytes(40),
    "npy": lambda: b"\x93NUMPY\x01\x00v\x00" + bytes(120),
    "elf": lambda: b"\x7fELF" + bytes(100),
    "zeros": lambda: bytes(4096),
    "tiff-loop": lambda: b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
    "tiff-many-tags": lambda: b"II*\0\x08\0\0\0\xff\xff" + bytes(400),
}


@pytest.mark.parametrize("name", ODD)
def test_an_odd_file_is_answered_or_refused_but_breaks_nothing(client, png, name):
    data = ODD[name]()
    answer = client.post("/segment", content=data)
    assert answer.status_code in (200, 400, 413, 422), (answer.status_code, answer.text[:300])
    assert b"<script>" not in answer.content
    assert b"Traceback" not in answer.content
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert client.post("/segment", content=png).status_code == 200


def sources() -> dict[str, bytes]:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    image = Image.fromarray(pixels)
    found = {}
    for kind in ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"):
        stream = io.BytesIO()
        image.save(stream, kind)
        found[kind] = stream.getvalue()
    return found


@pytest.mark.parametrize("kind", sorted(sources()))
def test_files_with_flipped_bits_and_cut_ends_are_answered_or_refused(client, kind):
    data = sources()[kind]
    random = np.random.default_rng(sum(kind.encode()))
    for number in range(40):
        broken = bytearray(data)
        for place in random.integers(0, len(data), 1 + number % 8):
            broken[place] ^= 1 << int(random.integers(8))
        if number % 4 == 0:
            broken = broken[: int(random.integers(1, len(data)))]
        answer = client.post("/segment", content=bytes(broken))
        assert answer.status_code in (200, 400, 413), (number, answer.text)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "a\r\nSet-Cookie: x=1",
        "\x00.png",
        "x" * 10_000,
        "..",
        "💥",
    ],
)
def test_a_file_name_is_only_a_word(client, png, name):
    answer = client.post("/segment?format=json&masks=coco", files={"file": (name, png)})
    assert answer.status_code == (400 if len(name) > 1_000 else 200), answer.text
    assert "set-cookie" not in answer.headers
    assert "x=1" not in str(answer.headers)


def test_an_image_that_kills_its_network_fails_alone(start, counted_model, png, encode):
    from concurrent.futures import ThreadPoolExecutor

    class Delicate(type(counted_model)):
        """Breaks on images that are nearly black."""

        def segment_batch(self, images, options, *, plans=None):
            """Segment, or break as a whole."""
            if any(image.max() < 5 for image in images):
                raise RuntimeError("CUDA error: secret of the house")
            return super().segment_batch(images, options, plans=plans)

    client = start(Delicate())
    poison = encode(np.zeros((40, 60, 3), np.uint8))
    bodies = [poison if number % 4 == 0 else png for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda body: client.post("/segment", content=body), bodies))
    assert [answer.status_code for answer in answers] == [500, 200, 200, 200] * 3
    assert all("secret" not in answer.text for answer in answers[::4])
