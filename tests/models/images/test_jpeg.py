"""JPEG: pixels as Pillow decodes them, and files that announce more than they hold."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import ImageDamagedError, ImageError
from maskzoo.models.images.decode import decode_image
from maskzoo.models.images.jpeg import MAX_SCANS
from tests.models.images.files import encode, noise, scene, with_scans

END = b"\xff\xd9"
KINDS: dict[str, dict[str, object]] = {
    "4:2:0": {},
    "4:4:4": {"subsampling": 0},
    "restart markers": {"restart_marker_blocks": 3},
    "progressive": {"progressive": True},
}


def by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def with_flat_corner() -> Image.Image:
    pixels = np.array(noise())
    pixels[50:, 60:] = (90, 120, 30)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (64, 48), (33, 17)])
def test_pixels_equal_pillows(options, mode, size):
    data = encode(Image.fromarray(scene(*size)).convert(mode), "JPEG", quality=80, **options)
    np.testing.assert_array_equal(decode_image(data).pixels, by_pillow(data))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_complete_image_with_a_flat_corner_is_decoded(kind, mode):
    data = encode(with_flat_corner().convert(mode), "JPEG", **KINDS[kind])
    np.testing.assert_array_equal(decode_image(data).pixels, by_pillow(data))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("fraction", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_an_image_that_was_cut_off_and_closed_again_is_damaged(kind, fraction, mode):
    data = encode(noise().convert(mode), "JPEG", **KINDS[kind])
    start = data.index(b"\xff\xda") + 14
    cut = data[: start + int((len(data) - start) * fraction)]
    with pytest.raises(ImageDamagedError, match="photo is a damaged JPEG file: it h"):
        decode_image(cut.rstrip(b"\xff") + END, name="photo")


def test_an_image_that_announces_more_rows_than_it_holds_is_damaged():
    data = encode(noise(), "JPEG")
    at = data.index(b"\xff\xc0") + 5
    tall = data[:at] + struct.pack(">H", 5000) + data[at + 2 :]
    with pytest.raises(ImageDamagedError, match="fewer pixels than the 160 x 5000"):
        decode_image(tall)


def test_a_progressive_image_may_stop_after_any_scan():
    data = encode(noise(), "JPEG", progressive=True)
    scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
    early = data[: scans[4]]
    tables = early.rindex(b"\xff\xc4")  # of the scan that is left out
    stopped = early[:tables] + END
    np.testing.assert_array_equal(decode_image(stopped).pixels, by_pillow(stopped))


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("fraction", [0.02, 0.5, 0.9])
def test_a_progressive_image_that_is_cut_off_inside_its_last_scan_is_damaged(fraction, mode):
    data = encode(noise().convert(mode), "JPEG", progressive=True, quality=95)
    start = data.rindex(b"\xff\xda") + 10
    cut = data[: start + int((len(data) - start) * fraction)]
    with pytest.raises(ImageDamagedError, match="holds fewer pixels"):
        decode_image(cut.rstrip(b"\xff") + END)


def test_bytes_behind_the_end_are_not_looked_at():
    data = encode(noise(), "JPEG")
    trailed = data + b"a camera's notes \xff\xda and more"
    np.testing.assert_array_equal(decode_image(trailed).pixels, by_pillow(data))


def test_as_many_scans_as_are_allowed_are_decoded():
    assert decode_image(with_scans(MAX_SCANS)).pixels.shape == (120, 160, 3)


def test_more_scans_than_are_allowed_are_refused_before_any_is_decoded(monkeypatch):
    data = with_scans(MAX_SCANS + 1)
    monkeypatch.setattr(cv2, "imdecode", None)
    monkeypatch.setattr(Image.Image, "load", None)
    with pytest.raises(
        ImageError, match=r"photo has more than 200 scans, .* save it as a baseline"
    ):
        decode_image(data, name="photo")
