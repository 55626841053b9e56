"""The origin of a mask: written into its PNG, read back, and lost once the mask is edited."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from maskzoo.models.images.draw import encode_indexed_png
from maskzoo.models.images.origin import origin_of_model, read_origin, stamp
from maskzoo.models.labels import LabelSet

LABELS = LabelSet.generic(3)
ORIGIN = origin_of_model("ab" * 32, LABELS, {"mode": "auto", "tta": "none"}).of_image(b"image")


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    label_map = np.random.default_rng(0).integers(0, 3, (7, 9), np.uint8)
    path = tmp_path / "a.png"
    path.write_bytes(stamp(encode_indexed_png(label_map, LABELS), ORIGIN))
    return path


def test_the_origin_is_read_back_and_the_pixels_are_as_before(mask: Path) -> None:
    assert read_origin(mask) == ORIGIN
    with Image.open(mask) as image:
        image.load()  # Pillow checks the checksums
        assert "maskzoo:origin" in image.info
        assert np.array(image).tolist() == (
            np.random.default_rng(0).integers(0, 3, (7, 9), np.uint8).tolist()
        )


def test_an_edited_mask_has_no_origin_though_the_program_copies_the_text(mask: Path) -> None:
    with Image.open(mask) as image:
        image.load()
        text = PngImagePlugin.PngInfo()
        text.add_text("maskzoo:origin", image.info["maskzoo:origin"])
        image.putpixel((0, 0), 2 - image.getpixel((0, 0)) or 1)
        image.save(mask, pnginfo=text)
    assert read_origin(mask) is None


@pytest.mark.parametrize("damage", [b"", b"not a PNG", b"\xff" * 80])
def test_a_file_without_the_record_has_no_origin(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(damage)
    assert read_origin(path) is None


def test_a_changed_byte_of_the_pixels_is_noticed(mask: Path) -> None:
    data = bytearray(mask.read_bytes())
    data[-20] ^= 1
    mask.write_bytes(data)
    assert read_origin(mask) is None


def test_an_image_file_and_its_content_have_one_hash(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"image")
    assert ORIGIN.of_image(tmp_path / "x.jpg") == ORIGIN
    assert ORIGIN.image_sha256 == hashlib.sha256(b"image").hexdigest()


def test_the_difference_names_what_differs() -> None:
    assert ORIGIN.difference(ORIGIN) is None
    for name in ("image", "weights", "labels", "options"):
        field = name if name == "options" else f"{name}_sha256"
        word = {"weights": "model"}.get(name, name)
        other = replace(ORIGIN, **{field: "x"})
        assert ORIGIN.difference(other) == f"other {word}"
        assert ORIGIN.digest() != other.digest()


def test_other_colours_or_another_background_are_other_labels() -> None:
    changed = LABELS.model_copy(update={"background": 0})
    other = origin_of_model("ab" * 32, changed, {"mode": "auto", "tta": "none"})
    assert ORIGIN.difference(other.of_image(b"image")) == "other labels"
