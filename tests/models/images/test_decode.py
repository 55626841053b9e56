"""The decoder's table, one case for each line; all files are made here."""

from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import ImageDamagedError, ImageError, ImageTooLargeError
from maskzoo.models.images.decode import ImageInfo, decode_image, read_header
from tests.models.images.files import HEIGHT, WIDTH, encode, scene, with_orientation


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
    options = {"lossless": True} if file_format == "WEBP" else {}
    data = with_orientation(stored, file_format, orientation, **options)
    plain = decode_image(encode(stored, file_format, **options)).pixels
    decoded = decode_image(data)
    np.testing.assert_array_equal(decoded.pixels, turns[orientation](plain))
    assert decoded.info.orientation == orientation
    assert decoded.info.exif_transposed == (orientation != 1)
    assert decoded.pixels.shape == (decoded.info.height, decoded.info.width, 3)
    header = read_header(data)
    assert (header.width, header.height) == (decoded.info.width, decoded.info.height)


def test_a_png_with_its_exif_behind_the_pixels_is_rotated():
    data = with_orientation(Image.fromarray(scene()), "PNG", 6)
    at = data.index(b"eXIf") - 4
    (length,) = struct.unpack(">I", data[at : at + 4])
    chunk, rest = data[at : at + 12 + length], data[:at] + data[at + 12 + length :]
    late = rest[:-12] + chunk + rest[-12:]
    decoded = decode_image(late)
    np.testing.assert_array_equal(decoded.pixels, np.rot90(scene(), -1))
    assert (decoded.info.width, decoded.info.height) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_out_of_range_is_ignored(value):
    decoded = decode_image(with_orientation(Image.fromarray(scene()), "PNG", value))
    np.testing.assert_array_equal(decoded.pixels, scene())
    assert not decoded.info.exif_transposed


def test_unreadable_exif_does_not_make_an_image_unreadable():
    data = encode(Image.fromarray(scene()), "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    np.testing.assert_array_equal(decode_image(data).pixels, scene())


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


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_too_many_pixels_are_refused(file_format):
    data = encode(Image.fromarray(scene()), file_format)
    decode_image(data, max_pixels=WIDTH * HEIGHT)
    decode_image(data, max_pixels=None)
    with pytest.raises(ImageTooLargeError, match="20 x 12") as caught:
        decode_image(data, max_pixels=WIDTH * HEIGHT - 1)
    assert (caught.value.width, caught.value.height) == (WIDTH, HEIGHT)


def test_more_pixels_than_pillows_own_limit_are_read_without_a_warning(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for file_format in ("PNG", "BMP", "TIFF", "JPEG"):
            found = decode_image(encode(Image.fromarray(scene()), file_format))
            assert found.pixels.shape == scene().shape


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
def test_truncated_images_are_damaged(file_format, fraction):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    data = encode(Image.fromarray(noise), file_format)
    with pytest.raises(ImageDamagedError, match="photo"):
        decode_image(data[: int(len(data) * fraction)], name="photo")


def _seeds() -> dict[str, bytes]:
    image, grey = Image.fromarray(scene()), Image.fromarray(scene()[..., 0])
    palette = grey.convert("P")
    rgba = Image.fromarray(np.dstack([scene(), scene()[..., 0]]))
    deep = Image.fromarray(scene()[..., 0].astype(np.uint16) * 257)
    return {
        "jpeg": with_orientation(image, "JPEG", 6),
        "progressive jpeg": encode(image, "JPEG", progressive=True),
        "cmyk jpeg": encode(image.convert("CMYK"), "JPEG"),
        "png": with_orientation(rgba, "PNG", 6),
        "png 16": encode(deep, "PNG"),
        "palette png": encode(palette, "PNG", transparency=3),
        "webp": with_orientation(rgba, "WEBP", 6),
        "bmp": encode(palette, "BMP"),
        "gif": encode(image, "GIF", save_all=True, append_images=[image.rotate(90)]),
        "tiff": encode(image, "TIFF", compression="tiff_lzw"),
        "tiff 16": encode(deep, "TIFF", compression="tiff_adobe_deflate"),
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


def test_decoding_does_not_depend_on_the_name(tmp_path):
    data = encode(Image.fromarray(scene()), "PNG")
    np.testing.assert_array_equal(decode_image(data, name="a.jpg").pixels, scene())


@pytest.mark.parametrize(
    ("bands", "bit_depth", "factor"),
    [(1, 1, 1), (3, 8, 1), (4, 8, 1), (5, 8, 2), (3, 16, 2), (2, 16, 1), (13, 32, 13)],
)
def test_an_image_counts_a_pixel_for_each_four_bytes_of_samples(bands, bit_depth, factor):
    info = ImageInfo("TIFF", "x", 30, 20, bit_depth, 1, 1, False, "none", "none", "none", bands)
    assert info.cost == 600 * factor


@pytest.mark.parametrize("kind", ["data", "soft", "cut out"])
def test_the_alpha_of_a_png_is_laid_over_white_only_if_it_behaves_as_alpha(tmp_path, kind):
    """MFNet's images hold a thermal band as alpha."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 200, (32, 32, 3), np.uint8)
    alpha = random.integers(20, 230, (32, 32), np.uint8)
    if kind != "data":
        alpha[:20] = 255
    if kind == "cut out":
        alpha[20:] = 0
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "x.png")
    decoded = decode_image(tmp_path / "x.png")
    assert decoded.info.alpha == ("band" if kind == "data" else "composited")
    assert np.array_equal(decoded.pixels, pixels) == (kind == "data")
    said = ("a band is flagged as alpha but holds data; it is not used",)
    assert decoded.info.remarks == (said if kind == "data" else ())
