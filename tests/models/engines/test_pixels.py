"""uint8 pixels to normalised batches, by the formula in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo.models.engines.pixels import Normalise, to_batch, to_channels
from maskzoo.models.errors import ShapeError
from maskzoo.models.preprocessing import Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_a_batch_is_the_normalised_image():
    pixels = noise(5, 7, 3)
    batch = to_batch(pixels, Preprocessing(mean=MEAN, std=STD), torch.device("cpu"))
    expected = (pixels / 255 - MEAN) / STD
    assert batch.shape == (1, 3, 5, 7)
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(batch[0].permute(1, 2, 0), expected, atol=1e-6)


def test_a_batch_of_many_strips_is_that_of_one():
    pixels = noise(700, 211, 3)  # 443 100 values: a whole strip and a part of one
    batch = to_batch(pixels, Preprocessing(mean=MEAN, std=STD), torch.device("cpu"))
    normalise = Normalise(MEAN, STD, device=torch.device("cpu"), channels_last=True)
    expected = normalise(torch.from_numpy(pixels).permute(2, 0, 1)[None])
    torch.testing.assert_close(batch, expected, rtol=0, atol=0)
    assert batch.is_contiguous(memory_format=torch.channels_last)


def test_training_and_prediction_normalise_by_one_function():
    pixels = noise(2, 3, 4, 5)
    batch = Normalise(MEAN, STD, device=torch.device("cpu"))(torch.from_numpy(pixels))
    one = to_batch(
        pixels[1].transpose(1, 2, 0), Preprocessing(mean=MEAN, std=STD), torch.device("cpu")
    )
    torch.testing.assert_close(batch[1:], one, rtol=0, atol=0)


def test_one_channel_is_the_luma_and_keeps_grey():
    grey = noise(6, 8)
    np.testing.assert_array_equal(to_channels(np.stack([grey] * 3, -1), 1)[..., 0], grey)
    colours = noise(6, 8, 3)
    expected = np.asarray(Image.fromarray(colours).convert("L")).astype(int)
    assert np.abs(to_channels(colours, 1)[..., 0] - expected).max() <= 1


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ShapeError, match=r"takes uint8 \(H, W, 3\) RGB"):
        to_channels(pixels, 3)


def test_other_channel_counts_are_refused():
    with pytest.raises(ShapeError, match="takes 4 channels"):
        to_channels(noise(4, 4, 3), 4)
