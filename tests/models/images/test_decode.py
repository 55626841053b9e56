"""The decoder's table, one case for each line; all files are made here."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import (
    ImageDamagedError,
    ImageError,
    ImageFormatError,
    ImageTooLargeError,
)
from maskzoo.models.images.decode import decode_image, read_header

HEIGHT, WIDTH = 12, 20
ORIENTATION = 0x0112


def scene(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Return a smooth RGB image whose corners all differ."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = 255 * x / max(1, width - 1), 255 * y / max(1, height - 1)
    blue = 255 * (x + y) / max(1, height + width - 2)
    return np.stack([red, green, 255 - blue], axis=-1).astype(np.uint8)


def encode(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """Return a PNG from raw samples; `extra` are chunks before the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    stride = len(rows) // height
    lines = b"".join(b"\0" + rows[y * stride : (y + 1) * stride] for y in range(height))
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))]
    parts += [chunk(item[:4], item[4:]) for item in extra]
    parts += [chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_give_the_pixels_that_were_stored(file_format, options):
    decoded = decode_image(encode(Image.fromarray(scene()), file_format, **options))
    np.testing.assert_array_equal(decoded.pixels, scene())
    assert decoded.info.format == file_format
    assert (decoded.info.width, decoded.info.height) == (WIDTH, HEIGHT)
    assert decoded.pixels.flags["C_CONTIGUOUS"]
    assert decoded.pixels.flags["WRITEABLE"]


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 48), (33, 17)])
def test_jpeg_pixels_equal_pillows(options, mode, size):
    data = encode(Image.fromarray(scene(*size)).convert(mode), "JPEG", quality=80, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decode_image(data).pixels, expected)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_come_out_upright(orientation, file_format):
    # What each number means, by the EXIF standard: where row 0 and column 0 of the file go.
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    stored = Image.fromarray(scene())
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(stored, file_format, exif=exif, **options)
    plain = decode_image(encode(stored, file_format, **options)).pixels
    decoded = decode_image(data)
    np.testing.assert_array_equal(decoded.pixels, turns[orientation](plain))
    assert decoded.info.orientation == orientation
    assert decoded.info.exif_transposed == (orientation != 1)
    assert decoded.pixels.shape == (decoded.info.height, decoded.info.width, 3)
    header = read_header(data)
    assert (header.width, header.height) == (decoded.info.width, decoded.info.height)


def test_a_png_with_its_exif_behind_the_pixels_is_turned():
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = encode(Image.fromarray(scene()), "PNG", exif=exif)
    at = data.index(b"eXIf") - 4
    (length,) = struct.unpack(">I", data[at : at + 4])
    chunk, rest = data[at : at + 12 + length], data[:at] + data[at + 12 + length :]
    late = rest[:-12] + chunk + rest[-12:]
    decoded = decode_image(late)
    np.testing.assert_array_equal(decoded.pixels, np.rot90(scene(), -1))
    assert (decoded.info.width, decoded.info.height) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_out_of_range_is_ignored(value):
    exif = Image.Exif()
    exif[ORIENTATION] = value
    decoded = decode_image(encode(Image.fromarray(scene()), "PNG", exif=exif))
    np.testing.assert_array_equal(decoded.pixels, scene())
    assert not decoded.info.exif_transposed


def test_unreadable_exif_does_not_make_an_image_unreadable():
    data = encode(Image.fromarray(scene()), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(decode_image(data).pixels, scene())


def test_grey_png_of_16_bits_keeps_the_high_byte():
    samples = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    decoded = decode_image(encode(Image.fromarray(samples), "PNG"))
    np.testing.assert_array_equal(decoded.pixels[..., 1], np.arange(256).reshape(16, 16))
    assert decoded.info.bit_depth == 16
    assert "16" in decoded.info.scaling


@pytest.mark.parametrize("factor", [256, 257])
def test_8_bits_that_were_widened_come_back(factor):
    wide = np.arange(256, dtype=np.uint16).reshape(16, 16) * factor
    np.testing.assert_array_equal(
        decode_image(encode(Image.fromarray(wide), "PNG")).pixels[..., 0],
        np.arange(256).reshape(16, 16),
    )


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4)])
def test_colour_png_of_16_bits_is_scaled_and_not_clipped(colour, channels):
    samples = np.full((16, 16, channels), 65535, np.uint16)
    samples[..., 0] = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    samples[..., 1] = samples[::-1, :, 0]
    decoded = decode_image(png(16, 16, 16, colour, samples.astype(">u2").tobytes()))
    np.testing.assert_array_equal(decoded.pixels[..., 0], np.arange(256).reshape(16, 16))
    np.testing.assert_array_equal(decoded.pixels[..., 1], samples[..., 1] >> 8)
    assert decoded.info.bit_depth == 16


def test_grey_alpha_png_of_16_bits_is_composited():
    samples = np.array([[[0, 0], [0, 65535]], [[65535, 65535], [32896, 65535]]], np.uint16)
    decoded = decode_image(png(2, 2, 16, 4, samples.astype(">u2").tobytes()))
    np.testing.assert_array_equal(decoded.pixels[..., 2], [[255, 0], [255, 128]])
    assert decoded.info.alpha == "composited"


def test_colour_key_of_a_16_bit_grey_png_is_transparent():
    samples = np.array([[1000, 1001]], np.uint16)
    data = png(2, 1, 16, 0, samples.astype(">u2").tobytes(), b"tRNS" + struct.pack(">H", 1000))
    np.testing.assert_array_equal(decode_image(data).pixels[0, :, 0], [255, 3])


def test_colour_key_of_a_16_bit_colour_png_is_ignored():
    samples = np.full((1, 2, 3), 1000, ">u2")
    data = png(2, 1, 16, 2, samples.tobytes(), b"tRNS" + struct.pack(">HHH", 1000, 1000, 1000))
    decoded = decode_image(data)
    assert (decoded.pixels == 3).all()
    assert decoded.info.alpha == "ignored"


@pytest.mark.parametrize(("depth", "top"), [(1, 1), (2, 3), (4, 15)])
def test_grey_png_of_few_bits_is_scaled_to_the_full_range(depth, top):
    per_byte = 8 // depth
    values = np.arange(per_byte) % (top + 1)
    packed = int("".join(f"{value:0{depth}b}" for value in values), 2).to_bytes(1, "big")
    decoded = decode_image(png(per_byte, 1, depth, 0, packed))
    np.testing.assert_array_equal(decoded.pixels[0, :, 0], values * 255 // top)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF"])
def test_1_bit_images_become_black_and_white(file_format):
    bits = scene()[..., 0] > 127
    decoded = decode_image(encode(Image.fromarray(bits), file_format))
    np.testing.assert_array_equal(decoded.pixels[..., 0], np.where(bits, 255, 0))


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(file_format):
    alpha = scene()[..., 1]
    rgba = np.dstack([scene(), alpha])
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    decoded = decode_image(encode(Image.fromarray(rgba), file_format, **options))
    share = alpha[..., None] / 255
    expected = scene() * share + 255 * (1 - share)
    assert np.abs(decoded.pixels - expected).max() <= 0.5 + 1e-9
    assert decoded.info.alpha == "composited"
    assert read_header(encode(Image.fromarray(rgba), file_format, **options)).alpha == "present"


def test_opaque_alpha_changes_nothing():
    rgba = np.dstack([scene(), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    decoded = decode_image(encode(Image.fromarray(rgba), "PNG"))
    np.testing.assert_array_equal(decoded.pixels, scene())
    assert decoded.info.alpha == "opaque"


def test_alpha_that_hides_everything_is_ignored():
    rgba = np.dstack([scene(), np.zeros((HEIGHT, WIDTH), np.uint8)])
    decoded = decode_image(encode(Image.fromarray(rgba), "PNG"))
    np.testing.assert_array_equal(decoded.pixels, scene())
    assert decoded.info.alpha == "ignored"


def test_grey_with_alpha_is_composited():
    image = Image.fromarray(np.array([[[10, 0], [10, 255]]], np.uint8), "LA")
    np.testing.assert_array_equal(
        decode_image(encode(image, "PNG")).pixels, [[[255] * 3, [10] * 3]]
    )


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "TIFF"])
def test_palettes_are_looked_up(file_format):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    image.putpalette(colours.tobytes())
    decoded = decode_image(encode(image, file_format))
    np.testing.assert_array_equal(decoded.pixels, colours[:6].reshape(2, 3, 3))


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_transparent_palette_entries_show_white(file_format):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([1, 2, 3, 40, 50, 60, 70, 80, 90])
    decoded = decode_image(encode(image, file_format, transparency=1))
    np.testing.assert_array_equal(decoded.pixels, [[[1, 2, 3], [255, 255, 255], [70, 80, 90]]])


def test_palette_entries_may_be_half_transparent():
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([100, 100, 100, 0, 0, 0])
    decoded = decode_image(encode(image, "PNG", transparency=bytes([255, 128])))
    np.testing.assert_array_equal(decoded.pixels[0, :, 0], [100, 127])


def test_a_colour_key_of_an_rgb_png_is_transparent():
    pixels = np.array([[[9, 8, 7], [9, 8, 6]]], np.uint8)
    data = png(2, 1, 8, 2, pixels.tobytes(), b"tRNS" + struct.pack(">HHH", 9, 8, 7))
    np.testing.assert_array_equal(decode_image(data).pixels, [[[255] * 3, [9, 8, 6]]])


@pytest.mark.parametrize(
    ("inks", "colour"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((0, 255, 255, 0), (255, 0, 0)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((255, 0, 0, 0), (0, 255, 255)),
    ],
)
@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(file_format, inks, colour):
    image = Image.new("CMYK", (16, 16), inks)
    decoded = decode_image(encode(image, file_format))
    assert np.abs(decoded.pixels.astype(int) - colour).max() <= 2
    assert decoded.info.mode in ("CMYK", "uint8x4")


def test_a_cmyk_jpeg_is_read_as_opencv_reads_it():
    inks = np.dstack([scene(32, 32), scene(32, 32)[::-1, :, :1] // 2])
    data = encode(Image.frombytes("CMYK", (32, 32), inks.tobytes()), "JPEG", quality=95)
    assert b"Adobe" in data  # the marker of the inverted form
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB).astype(int)
    assert np.abs(decode_image(data).pixels - theirs).max() <= 4


def test_a_ycbcr_tiff_becomes_rgb():
    flat = Image.fromarray(np.full((16, 16, 3), (200, 100, 50), np.uint8))
    decoded = decode_image(encode(flat, "TIFF", compression="jpeg", quality=95))
    assert np.abs(decoded.pixels.astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames_is_used(file_format):
    frames = [Image.new("RGB", (8, 6), (value, 0, 0)) for value in (10, 120, 240)]
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(frames[0], file_format, save_all=True, append_images=frames[1:], **options)
    decoded = decode_image(data)
    assert (decoded.pixels == (10, 0, 0)).all()
    assert decoded.info.pages == 3


def test_the_first_view_of_a_multi_picture_jpeg_is_used():
    first, second = Image.new("RGB", (16, 8), (200, 0, 0)), Image.new("RGB", (16, 8), (0, 0, 200))
    decoded = decode_image(encode(first, "MPO", save_all=True, append_images=[second]))
    assert np.abs(decoded.pixels.astype(int) - (200, 0, 0)).max() <= 3
    assert (decoded.info.format, decoded.info.pages) == ("JPEG", 2)


def test_an_icc_profile_is_ignored_and_reported():
    data = encode(Image.fromarray(scene()), "PNG", icc_profile=b"not a profile")
    decoded = decode_image(data)
    np.testing.assert_array_equal(decoded.pixels, scene())
    assert decoded.info.icc_profile == "ignored"


def test_the_info_is_json(tmp_path):
    import json

    info = decode_image(encode(Image.fromarray(scene()), "PNG")).info
    assert json.loads(json.dumps(info.to_json()))["format"] == "PNG"


def test_a_path_reads_as_its_bytes_do(tmp_path):
    path = tmp_path / "wrong_suffix.jpg"
    path.write_bytes(encode(Image.fromarray(scene()), "PNG"))
    np.testing.assert_array_equal(decode_image(path).pixels, scene())
    assert read_header(path).format == "PNG"


def test_a_missing_file_is_named(tmp_path):
    for read in (decode_image, read_header):
        with pytest.raises(ImageError, match=r"nothing\.png cannot be read: No such file"):
            read(tmp_path / "nothing.png")


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


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_too_many_pixels_are_refused(file_format):
    data = encode(Image.fromarray(scene()), file_format)
    decode_image(data, max_pixels=WIDTH * HEIGHT)
    decode_image(data, max_pixels=None)
    with pytest.raises(ImageTooLargeError, match="20 x 12") as caught:
        decode_image(data, max_pixels=WIDTH * HEIGHT - 1)
    assert (caught.value.width, caught.value.height) == (WIDTH, HEIGHT)


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


def test_more_pixels_than_pillows_own_limit_are_read_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for file_format in ("PNG", "BMP", "TIFF", "JPEG"):
            found = decode_image(encode(Image.fromarray(scene()), file_format))
            assert found.pixels.shape == scene().shape


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_images_are_damaged(file_format, share):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), file_format)
    with pytest.raises(ImageDamagedError, match="photo"):
        decode_image(data[: int(len(data) * share)], name="photo")


def _seeds() -> dict[str, bytes]:
    image, grey = Image.fromarray(scene()), Image.fromarray(scene()[..., 0])
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    palette = grey.convert("P")
    rgba = Image.fromarray(np.dstack([scene(), scene()[..., 0]]))
    wide = Image.fromarray(scene()[..., 0].astype(np.uint16) * 257)
    return {
        "jpeg": encode(image, "JPEG", exif=exif),
        "progressive jpeg": encode(image, "JPEG", progressive=True),
        "cmyk jpeg": encode(image.convert("CMYK"), "JPEG"),
        "png": encode(rgba, "PNG", exif=exif),
        "png 16": encode(wide, "PNG"),
        "palette png": encode(palette, "PNG", transparency=3),
        "webp": encode(rgba, "WEBP", exif=exif),
        "bmp": encode(palette, "BMP"),
        "gif": encode(image, "GIF", save_all=True, append_images=[image.rotate(90)]),
        "tiff": encode(image, "TIFF", compression="tiff_lzw"),
        "tiff 16": encode(wide, "TIFF", compression="tiff_adobe_deflate"),
        "tiff jpeg": encode(image, "TIFF", compression="jpeg"),
    }


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about odd metadata
@pytest.mark.parametrize("kind", sorted(_seeds()))
def test_no_change_of_a_file_raises_anything_but_an_image_error(kind):
    random = np.random.default_rng(20)
    valid = _seeds()[kind]
    for _ in range(150):
        data = bytearray(valid)
        for _ in range(random.integers(0, 4)):
            data[random.integers(0, min(len(data), 400))] = random.integers(0, 256)
            data[random.integers(0, len(data))] ^= 1 << random.integers(0, 8)
        if random.random() < 0.4:
            del data[random.integers(0, len(data)) :]
        for read in (_decode_small, read_header):
            try:
                read(bytes(data))
            except ImageError as error:
                assert str(error)  # noqa: PT017 — an error is allowed, not required


def _decode_small(data: bytes) -> None:
    decoded = decode_image(data, max_pixels=100_000)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape == (decoded.info.height, decoded.info.width, 3)


def test_decoding_does_not_depend_on_the_name(tmp_path: Path):
    data = encode(Image.fromarray(scene()), "PNG")
    np.testing.assert_array_equal(decode_image(data, name="a.jpg").pixels, scene())
