"""PNG of one class, written from runs: read back by others, compared with the pixels."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from maskzoo.service.shapes.bilevel import encode_class
from maskzoo.service.shapes.runs import LabelRuns

RANDOM = np.random.default_rng(0)
MAPS = {
    "noise": RANDOM.integers(0, 3, (37, 53), np.uint8),
    "sparse noise": (RANDOM.random((64, 700)) < 0.01).astype(np.uint8),
    "all": np.ones((20, 1000), np.uint8),
    "none": np.zeros((20, 1000), np.uint8),
    "one pixel": np.ones((1, 1), np.uint8),
    "one column": RANDOM.integers(0, 2, (300, 1), np.uint8),
    "runs over the ends of rows": np.repeat([0, 1, 0, 1], [7, 30, 8, 35]).reshape(8, 10),
    "wide ids": RANDOM.integers(0, 3, (20, 30)).astype(np.uint16) * 400,
}


@pytest.mark.parametrize("name", MAPS)
def test_two_readers_find_the_class_where_it_is(name):
    labels = MAPS[name]
    for label in (0, 1, 2, 400, 800):
        data = encode_class(LabelRuns(labels), label)
        wanted = np.where(labels == label, 255, 0)
        picture = Image.open(io.BytesIO(data))
        assert picture.mode == "L"
        np.testing.assert_array_equal(np.asarray(picture), wanted)
        read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(read, wanted)


@pytest.mark.parametrize("length", [*range(1, 270), 515, 516, 517, 518, 519, 775])
def test_a_run_of_any_length_is_said_exactly(length):
    labels = np.zeros((2, length + 3), np.uint8)
    labels[1, 1 : length + 1] = 1
    data = encode_class(LabelRuns(labels), 1)
    (size,) = struct.unpack(">I", data[33:37])
    rows = zlib.decompress(data[41 : 41 + size])  # which checks the sum as well
    assert rows == b"\0" * (length + 6) + b"\xff" * length + b"\0\0"
