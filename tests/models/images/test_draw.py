"""Label maps as images: a PNG that reads back, and the overlay's formula."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import ShapeError
from maskzoo.models.images.draw import encode_indexed_png, overlay
from maskzoo.models.inference.segmentation import class_counts
from maskzoo.models.labels import LabelSet

LABELS = LabelSet.from_names(["sky", "road", "car"], background=0)


def random_map(height: int, width: int, classes: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, classes, (height, width), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (37, 41)])
def test_the_pixels_of_the_png_are_the_class_ids(size):
    label_map = random_map(*size)
    image = Image.open(io.BytesIO(encode_indexed_png(label_map, LABELS)))
    assert image.mode == "P"
    np.testing.assert_array_equal(np.asarray(image), label_map)
    np.testing.assert_array_equal(
        np.asarray(image.convert("RGB")), np.array(LABELS.colours, np.uint8)[label_map]
    )


def test_opencv_reads_the_colours_too():
    label_map = random_map(20, 30)
    data = np.frombuffer(encode_indexed_png(label_map, LABELS), np.uint8)
    colours = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(colours, np.array(LABELS.colours, np.uint8)[label_map])


def test_ignored_pixels_are_kept():
    label_map = np.array([[0, 255]], np.uint8)
    image = Image.open(io.BytesIO(encode_indexed_png(label_map, LABELS)))
    np.testing.assert_array_equal(np.asarray(image), label_map)


def test_more_than_256_classes_give_a_16_bit_grey_png():
    label_map = np.array([[0, 299], [256, 7]], np.uint16)
    image = Image.open(io.BytesIO(encode_indexed_png(label_map, LabelSet.generic(300))))
    assert image.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(image), label_map)


def test_a_map_that_is_not_contiguous_is_written_as_it_looks():
    label_map = random_map(30, 40)[::-1, ::2]
    image = Image.open(io.BytesIO(encode_indexed_png(label_map, LABELS)))
    np.testing.assert_array_equal(np.asarray(image), label_map)


def test_text_is_in_the_file():
    text = {"model": "street", "classes": "Straße, 道路"}
    image = Image.open(io.BytesIO(encode_indexed_png(random_map(4, 4), LABELS, text)))
    assert image.text == text


@pytest.mark.parametrize(
    "label_map",
    [np.zeros((3, 3), np.int64), np.zeros((3, 3, 1), np.uint8), np.zeros((0, 3), np.uint8)],
)
def test_other_arrays_are_not_label_maps(label_map):
    with pytest.raises(ShapeError, match=r"takes uint8 or uint16 \(H, W\)"):
        encode_indexed_png(label_map, LABELS)


@pytest.mark.parametrize("opacity", [0, 0.3, 1])
def test_an_overlay_mixes_by_opacity_and_leaves_the_background(opacity):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    label_map = random_map(9, 8)
    label_map[0, 0], label_map[0, 1] = 255, LABELS.num_classes  # both without a class
    colours = LABELS.palette()[label_map]
    expected = pixels * (1 - opacity) + colours * opacity
    plain = (label_map == 0) | (label_map >= LABELS.num_classes)
    expected[plain] = pixels[plain]
    found = overlay(pixels, label_map, LABELS, opacity)
    assert found.dtype == np.uint8
    assert np.abs(found - expected).max() <= 0.5 + 1e-6


def test_an_overlay_of_many_classes_mixes_alike():
    label_map = np.array([[0, 299, 400]], np.uint16)
    many = LabelSet.generic(300)
    found = overlay(np.zeros((1, 3, 3), np.uint8), label_map, many, opacity=1)
    np.testing.assert_array_equal(found[0], [many.colours[0], many.colours[299], (0, 0, 0)])


@pytest.mark.parametrize("ids", [np.uint8, np.uint16])
def test_an_overlay_leaves_ignored_pixels_where_the_ignored_id_follows_the_classes(ids):
    ignoring = LabelSet.from_names(["sky", "road", "car"], ignore_index=3)
    pixels = np.full((1, 4, 3), 90, np.uint8)
    found = overlay(pixels, np.array([[0, 1, 2, 3]], ids), ignoring, opacity=1)
    np.testing.assert_array_equal(found[0], [*ignoring.colours, (90, 90, 90)])


def test_an_overlay_needs_equal_sizes():
    with pytest.raises(ShapeError, match="sizes must match"):
        overlay(np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4), np.uint8), LABELS)


def test_class_counts_count_pixels():
    label_map = np.array([[0, 0, 2], [2, 2, 255]], np.uint8)
    counts = class_counts(label_map, 4)
    assert counts.dtype == np.int64
    assert counts.tolist() == [2, 0, 3, 0]
