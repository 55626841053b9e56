"""The input that a configuration describes, in the words of 0.x and 1.x."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.inputs import read_inputs
from maskzoo.models.preprocessing import SlidingWindow


def test_both_generations_describe_the_same_input():
    mean, std = [10.0, 20.0, 30.0], [1.0, 2.0, 3.0]
    slide = {"mode": "slide", "crop_size": [128, 256], "stride": [100, 200]}
    old = {
        "model": {},
        "test_cfg": slide,
        "img_norm_cfg": {"mean": mean, "std": std, "to_rgb": True},
        "crop_size": [128, 256],
    }
    new = {
        "model": {
            "test_cfg": slide,
            "data_preprocessor": {"mean": mean, "std": std, "bgr_to_rgb": True, "size": [128, 256]},
        }
    }
    read = read_inputs(old)
    assert read == read_inputs(new)
    assert read.is_rgb
    assert read.preprocessing.mean == pytest.approx((10 / 255, 20 / 255, 30 / 255))
    assert read.preprocessing.window == SlidingWindow(size=(128, 256), stride=(100, 200))
    assert read.preprocessing.train_size == (128, 256)


def test_without_settings_the_statistics_are_imagenets_and_images_are_whole():
    read = read_inputs({"model": {}})
    assert read.preprocessing.mean == pytest.approx((0.485, 0.456, 0.406))
    assert read.preprocessing.window is None


@pytest.mark.parametrize(
    "settings",
    [
        {"model": {"data_preprocessor": {"mean": [1, 2]}}},
        {"model": {"data_preprocessor": {"std": "abc"}}},
        {"model": {"data_preprocessor": {"std": [1, 0, 1]}}},
        {"model": {"data_preprocessor": {"test_cfg": {"size_divisor": 32}}}},
        {"model": {"test_cfg": {"mode": "slide", "crop_size": [8, 8], "stride": [4, 4]}}},
        {"model": {"test_cfg": {"mode": "slide"}}},
        {"model": {}, "crop_size": [0, 4]},
        {"model": {}, "crop_size": [4, 4, 4]},
    ],
)
def test_values_that_describe_no_input_are_errors(settings):
    with pytest.raises(WeightsError):
        read_inputs(settings)
