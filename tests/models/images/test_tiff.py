"""The TIFF lines of the decoder's table; all files are made here."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from maskzoo.models.errors import (
    ImageBandsError,
    ImageDamagedError,
    ImageFormatError,
    ImageTooLargeError,
)
from maskzoo.models.images.decode import decode_image, read_header
from maskzoo.models.images.jpeg import MAX_SCANS
from maskzoo.models.images.raster.bands import BY_BANDS
from maskzoo.models.images.samples import NO_DATA_COLOUR
from tests.models.images.files import with_scans, with_strip


def tiff(samples: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


def ramp(top: int, dtype: str = "uint16") -> np.ndarray:
    """Return 16 x 16 samples that rise evenly from 0 to `top`."""
    return np.linspace(0, top, 256).round().astype(dtype).reshape(16, 16)


def colours(dtype: str = "uint8", top: int = 255) -> np.ndarray:
    values = np.random.default_rng(0).random((40, 50, 3)) * top
    values[0, 0] = top
    return values.astype(dtype)


@pytest.mark.parametrize(
    ("top", "depth"),
    [(200, 8), (255, 8), (256, 10), (1023, 10), (4000, 12), (16383, 14), (16384, 16), (65535, 16)],
)
def test_the_top_8_of_the_bits_in_use_are_kept(top, depth):
    samples = ramp(top)
    decoded = decode_image(tiff(samples))
    np.testing.assert_array_equal(decoded.pixels[..., 0], samples >> (depth - 8))
    assert decoded.info.bit_depth == 16
    assert decoded.info.scaling == f"high byte of {depth} used bits of 16"


def test_a_12_bit_camera_keeps_all_256_levels():
    decoded = decode_image(tiff(ramp(4095)))
    assert len(np.unique(decoded.pixels)) == 256


@pytest.mark.parametrize(("top", "depth"), [(100_000, 24), (2**31, 32), (4095, 12)])
def test_32_bit_integers_are_scaled_alike(top, depth):
    samples = ramp(top, "uint32")
    decoded = decode_image(tiff(samples))
    np.testing.assert_array_equal(decoded.pixels[..., 2], samples >> (depth - 8))


@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_signed_samples_without_negatives_are_read_as_unsigned(dtype):
    samples = ramp(4095, dtype)
    np.testing.assert_array_equal(decode_image(tiff(samples)).pixels[..., 0], samples >> 4)


def test_signed_samples_with_negatives_are_stretched():
    samples = np.array([[-1000, 0], [500, 3000]], np.int16)
    decoded = decode_image(tiff(samples))
    np.testing.assert_array_equal(decoded.pixels[..., 0], [[0, 64], [96, 255]])
    assert decoded.info.scaling == "-1000..3000 to 0..255"


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_within_0_and_1_are_scaled_by_255(dtype):
    samples = np.array([[0, 0.25], [0.5, 0.75]], dtype)
    decoded = decode_image(tiff(samples))
    np.testing.assert_array_equal(decoded.pixels[..., 0], [[0, 64], [128, 191]])


def test_whole_floats_up_to_255_are_kept():
    samples = np.array([[0, 7], [100, 200]], np.float32)
    np.testing.assert_array_equal(decode_image(tiff(samples)).pixels[..., 0], samples)


def test_other_floats_are_stretched_and_nan_is_the_lowest():
    samples = np.array([[-1.0, np.nan], [np.inf, 3.0]], np.float32)
    decoded = decode_image(tiff(samples))
    np.testing.assert_array_equal(decoded.pixels[..., 0], [[0, 0], [255, 255]])


@pytest.mark.parametrize("value", [5.5, np.nan])
def test_a_float_image_of_one_value_is_black(value):
    assert not decode_image(tiff(np.full((3, 4), value, np.float32))).pixels.any()


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"rowsperstrip": 7}])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "packbits"])
def test_every_layout_gives_the_stored_colours(planar, options, compression):
    samples = colours()
    stored = samples if planar == "contig" else np.moveaxis(samples, -1, 0)
    data = tiff(stored, photometric="rgb", planarconfig=planar, compression=compression, **options)
    np.testing.assert_array_equal(decode_image(data).pixels, samples)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_byte_order_and_bigtiff_make_no_difference(byteorder, bigtiff):
    samples = colours("uint16", 65535)
    data = tiff(samples, photometric="rgb", byteorder=byteorder, bigtiff=bigtiff)
    np.testing.assert_array_equal(decode_image(data).pixels, samples >> 8)


def test_the_three_colours_share_one_depth():
    samples = colours("uint16", 200)
    samples[..., 2] = 4095
    decoded = decode_image(tiff(samples, photometric="rgb"))
    np.testing.assert_array_equal(decoded.pixels, samples >> 4)


def test_white_is_zero_where_the_file_says_so():
    samples = ramp(255, "uint8")
    decoded = decode_image(tiff(samples, photometric="miniswhite"))
    np.testing.assert_array_equal(decoded.pixels[..., 0], 255 - samples)


def test_a_16_bit_palette_is_looked_up():
    table = np.random.default_rng(0).integers(0, 65536, (3, 256)).astype(np.uint16)
    samples = ramp(255, "uint8")
    decoded = decode_image(tiff(samples, photometric="palette", colormap=table))
    np.testing.assert_array_equal(decoded.pixels, (table >> 8).T[samples])


def test_16_bit_alpha_is_composited():
    samples = np.zeros((1, 3, 4), np.uint16)
    samples[0, :, 3] = [0, 32896, 65535]
    samples[0, 2, 0] = 65535
    decoded = decode_image(tiff(samples, photometric="rgb", extrasamples=["unassalpha"]))
    np.testing.assert_array_equal(
        decoded.pixels[0], [[255, 255, 255], [127, 127, 127], [255, 0, 0]]
    )


def test_associated_alpha_is_not_multiplied_again():
    samples = np.array([[[50, 50, 50, 128], [10, 20, 30, 255]]], np.uint8)
    decoded = decode_image(tiff(samples, photometric="rgb", extrasamples=["assocalpha"]))
    np.testing.assert_array_equal(decoded.pixels[0], [[177, 177, 177], [10, 20, 30]])


def no_data(text: str) -> list[tuple[int, str, int, str, bool]]:
    return [(42113, "s", 0, text, True)]


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        ("int16", -9999),
        ("float32", -9999),
        ("float32", np.finfo(np.float32).min),
        ("float32", np.nan),
        ("uint16", 65535),
        ("float64", 1e20),
    ],
)
def test_no_data_counts_for_no_range(dtype, value):
    samples = (colours("float64", 1) * (1 if dtype.startswith("f") else 4000)).astype(dtype)
    expected = decode_image(tiff(samples, photometric="rgb")).pixels
    missing = samples.copy()
    missing[:6] = value
    tags = no_data(f"{value:.17g}")
    decoded = decode_image(tiff(missing, photometric="rgb", extratags=tags))
    np.testing.assert_array_equal(decoded.pixels[6:], expected[6:])
    assert (decoded.pixels[:6] == NO_DATA_COLOUR).all()
    assert decoded.info.scaling.endswith(", no-data left out")


def test_an_image_without_any_data_has_the_colour_of_no_data():
    samples = np.full((4, 5), -9999, np.int16)
    decoded = decode_image(tiff(samples, extratags=no_data("-9999")))
    assert (decoded.pixels == NO_DATA_COLOUR[1]).all()


@pytest.mark.parametrize("text", ["", "none", "-9999", "1e400"])
def test_a_tag_that_no_sample_can_hold_changes_nothing(text):
    samples = colours("uint16", 4000)
    found = decode_image(tiff(samples, photometric="rgb", extratags=no_data(text)))
    np.testing.assert_array_equal(found.pixels, samples >> 4)


def test_8_bit_samples_stay_as_they_are_whatever_is_no_data():
    samples = colours()
    samples[:6] = 0
    found = decode_image(tiff(samples, photometric="rgb", extratags=no_data("0")))
    np.testing.assert_array_equal(found.pixels, samples)


def test_near_infrared_that_is_flagged_as_alpha_is_not_laid_over_white():
    samples = np.random.default_rng(0).integers(0, 200, (40, 50, 4), dtype=np.uint8)
    samples[:10] = 0  # a collar
    decoded = decode_image(tiff(samples, photometric="rgb", extrasamples=["unassalpha"]))
    np.testing.assert_array_equal(decoded.pixels, samples[..., :3])
    assert decoded.info.alpha == "band"
    assert decoded.info.remarks == ("a band is flagged as alpha but holds data; it is not used",)


@pytest.mark.parametrize("channels", [4, 5, 8])
def test_the_first_three_of_many_channels_are_used_where_they_are_rgb(channels):
    samples = np.random.default_rng(0).integers(0, 256, (20, 30, channels), dtype=np.uint8)
    extra = ["unspecified"] * (channels - 3)
    decoded = decode_image(tiff(samples, photometric="rgb", extrasamples=extra))
    np.testing.assert_array_equal(decoded.pixels, samples[..., :3])
    assert decoded.info.mode == f"uint8x{channels}"
    assert decoded.info.remarks == (f"the first 3 of {channels} bands are used",)


@pytest.mark.parametrize("channels", [2, 4, 13])
def test_other_bands_are_refused_with_both_counts(channels):
    samples = np.zeros((20, 30, channels), np.uint8)
    data = tiff(samples, photometric="minisblack", planarconfig="contig")
    header = read_header(data)
    assert (header.bands, header.scaling) == (channels, BY_BANDS)
    with pytest.raises(ImageBandsError, match=f"has {channels} bands and 3"):
        decode_image(data)


def test_the_first_page_of_a_stack_is_used():
    stack = np.arange(4, dtype=np.uint8)[:, None, None] + np.zeros((4, 9, 7), np.uint8)
    decoded = decode_image(tiff(stack, photometric="minisblack"))
    assert not decoded.pixels.any()
    assert (decoded.pixels.shape, decoded.info.pages) == ((9, 7, 3), 4)


def test_a_header_says_what_is_stored():
    info = read_header(tiff(colours("uint16", 65535), photometric="rgb"))
    assert (info.width, info.height, info.bit_depth, info.mode) == (50, 40, 16, "uint16x3")
    assert info.scaling == "pending"


def test_the_pixel_limit_comes_before_the_pixels():
    with pytest.raises(ImageTooLargeError, match="50 x 40"):
        decode_image(tiff(colours(), photometric="rgb"), max_pixels=1999)


def test_the_samples_of_many_channels_are_limited_too():
    extra = ["unspecified"] * 37
    data = tiff(
        np.zeros((20, 20, 40), np.uint8),
        photometric="rgb",
        extrasamples=extra,
        planarconfig="contig",
    )
    decode_image(data, max_pixels=500)
    with pytest.raises(ImageFormatError, match="keep fewer channels"):
        decode_image(data, max_pixels=401)


@pytest.mark.parametrize(
    ("samples", "options", "reason"),
    [
        (np.zeros((8, 8), np.complex64), {}, "samples of format"),
        (np.zeros((8, 8, 3), np.uint8), {"photometric": "cielab"}, "colour space 8"),
        (np.zeros((8, 8), np.uint8), {"compression": "jpegxl"}, "compression 50002; allowed are"),
    ],
)
def test_kinds_of_tiff_that_are_not_read_say_why(samples, options, reason):
    with pytest.raises(ImageFormatError, match=reason):
        decode_image(tiff(samples, **options))


def test_a_strip_with_more_jpeg_scans_than_are_allowed_is_refused():
    progressive = with_scans(MAX_SCANS + 1)
    data = tiff(np.zeros((120, 160, 3), np.uint8), photometric="rgb", compression="jpeg")
    with pytest.raises(ImageFormatError, match="more than 200 scans"):
        decode_image(with_strip(data, progressive))


def test_strips_beyond_the_end_are_damage():
    data = tiff(colours(), photometric="rgb")
    with pytest.raises(ImageDamagedError, match="beyond the file's end"):
        decode_image(data[:-100])
