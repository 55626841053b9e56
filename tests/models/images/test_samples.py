"""Samples of any depth, palettes and alpha: the lines of the decoder's table, file by file."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from maskzoo.models.images.decode import decode_image, read_header
from tests.models.images.files import HEIGHT, WIDTH, encode, png, scene


def test_grey_png_of_16_bits_keeps_the_high_byte():
    samples = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    decoded = decode_image(encode(Image.fromarray(samples), "PNG"))
    np.testing.assert_array_equal(decoded.pixels[..., 1], np.arange(256).reshape(16, 16))
    assert decoded.info.bit_depth == 16
    assert "16" in decoded.info.scaling


@pytest.mark.parametrize("factor", [256, 257])
def test_8_bits_that_were_widened_come_back(factor):
    widened = np.arange(256, dtype=np.uint16).reshape(16, 16) * factor
    np.testing.assert_array_equal(
        decode_image(encode(Image.fromarray(widened), "PNG")).pixels[..., 0],
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
    np.testing.assert_array_equal(decode_image(data).pixels[0, :, 0], [255, 1001 >> 2])


def test_colour_key_of_a_16_bit_colour_png_is_ignored():
    samples = np.full((1, 2, 3), 1000, ">u2")
    data = png(2, 1, 16, 2, samples.tobytes(), b"tRNS" + struct.pack(">HHH", 1000, 1000, 1000))
    decoded = decode_image(data)
    assert (decoded.pixels == 1000 >> 2).all()
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


@pytest.mark.parametrize(("channels", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_a_camera_s_12_bits_in_a_16_bit_png_are_read_as_in_a_tiff(channels, colour):
    """The high byte would leave 16 of the 256 levels, all of them nearly black."""
    samples = np.full((16, 16, channels), 65535, np.uint16)
    samples[..., :3] = np.linspace(0, 4095, 256).round().reshape(16, 16, 1)
    if channels == 2:
        samples[..., 1] = 65535
    decoded = decode_image(png(16, 16, 16, colour, samples.astype(">u2").tobytes()))
    np.testing.assert_array_equal(decoded.pixels[..., 0], samples[..., 0] >> 4)
    assert decoded.info.scaling == "high byte of 12 used bits of 16"
    assert decoded.info.remarks == ("16-bit samples: high byte of 12 used bits of 16",)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_laid_over_white(file_format):
    alpha = scene()[..., 1].copy()
    alpha[:, WIDTH // 3 :] = 255
    rgba = np.dstack([scene(), alpha])
    options = {"lossless": True, "exact": True} if file_format == "WEBP" else {}
    decoded = decode_image(encode(Image.fromarray(rgba), file_format, **options))
    opacity = alpha[..., None] / 255
    expected = scene() * opacity + 255 * (1 - opacity)
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
