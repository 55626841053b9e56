"""Every encoding of masks that maskzoo reads, opened without an edit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask
from maskzoo.training.data.opening import inspect
from tests.training.data.truth import (
    CLASS_COLOURS,
    assert_truth,
    large,
    save,
    save_ids,
    truth,
    write_pairs,
)


def grey(path, mask, number):
    save(path, np.array([0, 127, 255], np.uint8)[mask])


def grey_without_white(path, mask, number):
    save(path, np.array([30, 90, 200], np.uint8)[mask])


def palette(path, mask, number):
    image = Image.fromarray(mask)
    image.putpalette(CLASS_COLOURS.ravel().tolist())
    save(path, image)


def palettes(path, mask, number):
    order = np.random.default_rng(number).permutation(3)
    image = Image.fromarray(np.argsort(order).astype(np.uint8)[mask])
    image.putpalette(CLASS_COLOURS[order].ravel().tolist())
    save(path, image)


def rgb(path, mask, number):
    save(path, CLASS_COLOURS[mask])


def rgba(path, mask, number):
    save(path, np.dstack([CLASS_COLOURS[mask], np.full_like(mask, 255)]))


def rgb_ids(path, mask, number):
    save(path, np.dstack([mask] * 3))


def mixed(path, mask, number):
    (rgb, palettes, rgba)[number % 3](path, mask, number)


def one_hot(path, mask, number):
    planes = np.stack([mask == label for label in range(3)]).astype(np.uint8) * 255
    tifffile.imwrite(path, planes, photometric="minisblack")


def one_hot_last(path, mask, number):
    planes = np.stack([mask == label for label in range(5)], axis=-1).astype(np.uint8)
    tifffile.imwrite(path, planes, photometric="minisblack")


def deep(path, mask, number):
    save(path, mask.astype(np.uint16) * 1000)


def deep_tiff(path, mask, number):
    tifffile.imwrite(path, mask.astype(np.int32))


ENCODINGS = {
    "ids": (save_ids, ".png"),
    "grey palette with white": (grey, ".png"),
    "grey palette": (grey_without_white, ".png"),
    "indexed": (palette, ".png"),
    "palettes by file": (palettes, ".png"),
    "RGB": (rgb, ".png"),
    "RGBA": (rgba, ".png"),
    "RGB of equal channels": (rgb_ids, ".png"),
    "RGB, RGBA and palettes mixed": (mixed, ".png"),
    "one-hot pages": (one_hot, ".tif"),
    "one-hot channels": (one_hot_last, ".tif"),
    "16 bits": (deep, ".png"),
    "32-bit TIFF": (deep_tiff, ".tif"),
    "BMP": (rgb, ".bmp"),
    "GIF": (palette, ".gif"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_is_read(name, tmp_path):
    write, suffix = ENCODINGS[name]
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + suffix, write)
    assert_truth(tmp_path)


def soft_colours(path, mask, number):
    save(path, cv2.resize(CLASS_COLOURS[large(mask)], None, fx=0.7, fy=0.7))


def jpeg_colours(path, mask, number):
    save(path, CLASS_COLOURS[large(mask)], quality=90, subsampling=0)


def jpeg_grey(path, mask, number):
    save(path, np.array([0, 127, 255], np.uint8)[large(mask)], quality=75)


@pytest.mark.parametrize(
    ("write", "suffix"), [(jpeg_colours, ".jpg"), (jpeg_grey, ".jpg"), (soft_colours, ".png")]
)
def test_noise_and_soft_edges_take_the_closest_class(write, suffix, tmp_path):
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + suffix, write)
    report = inspect(tmp_path)
    assert report.findings.interpretation.labels.num_classes == 3
    counts = np.zeros((3, 3), np.int64)
    for sample in report.findings.samples:
        labels = decode_labels(read_raw_mask(sample.mask), report.findings.encoding)
        true = cv2.resize(
            truth(int(sample.stem)), labels.shape[::-1], interpolation=cv2.INTER_NEAREST
        )
        np.add.at(counts, (true, labels), 1)
    assert counts.max(axis=1).sum() > 0.97 * counts.sum()
    assert sorted(counts.argmax(axis=1)) == [0, 1, 2]
