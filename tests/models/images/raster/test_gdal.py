"""GDAL's tags: the value of missing samples and the names of bands."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pytest
import tifffile

from maskzoo.models.images.raster.gdal import missing, read_band_names, read_no_data

T = TypeVar("T")
LOWEST = np.finfo(np.float32).min


def read(reader: Callable[[tifffile.TiffPage], T], code: int, text: str) -> T:
    stream = io.BytesIO()
    tag = (code, "s", 0, text, True)
    tifffile.imwrite(stream, np.zeros((4, 4), np.float32), extratags=[tag])
    stream.seek(0)
    with tifffile.TiffFile(stream) as file:
        return reader(file.pages.first)


@pytest.mark.parametrize(
    ("text", "value"),
    [("-9999", -9999.0), (" 0 ", 0.0), ("-3.40282346600000016e+38", float(LOWEST)), ("n/a", None)],
)
def test_the_value_of_missing_samples_is_read(text, value):
    found = read(read_no_data, 42113, text)
    assert found == (None if value is None else pytest.approx(value))


def test_nan_may_mark_missing_samples():
    assert np.isnan(read(read_no_data, 42113, "nan"))


def test_the_names_of_bands_are_read():
    text = (
        '<GDALMetadata>\n<Item name="DESCRIPTION" sample="0" role="description">Blue</Item>\n'
        '<Item name="STATISTICS_MEAN" sample="1">12</Item>\n'
        '<Item name="DESCRIPTION" sample="2" role="description"> NIR </Item></GDALMetadata>'
    )
    assert read(read_band_names, 42112, text) == {0: "Blue", 2: "NIR"}


@pytest.mark.parametrize(
    ("dtype", "no_data", "stored"),
    [
        ("int16", -9999.0, -9999),
        ("uint16", 0.0, 0),
        ("float32", float("nan"), np.nan),
        ("float32", -3.402823e38, LOWEST),
        ("float32", 0.1, np.float32(0.1)),
    ],
)
def test_missing_samples_are_found(dtype, no_data, stored):
    samples = np.array([[1, stored], [stored, 7]]).astype(dtype)
    np.testing.assert_array_equal(missing(samples, no_data), [[False, True], [True, False]])


@pytest.mark.parametrize("no_data", [None, 0.5, -1.0, 1e9, float("nan"), float("inf")])
def test_a_value_that_integers_cannot_hold_marks_none(no_data):
    assert missing(np.arange(6, dtype=np.uint16), no_data) is None
