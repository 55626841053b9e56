"""predictions.png: the images that it shows, their order, and the legend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.training.data.feed.dataset import SegmentationData
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.report.predictions import draw_predictions

PREPROCESSING = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), train_size=(32, 32))


class Ground(nn.Module):
    """Finds nothing but the first class."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x[:, 0]), torch.zeros_like(x[:, 0])], dim=1)


@pytest.fixture(scope="module")
def data(make_data: Callable[..., Path]) -> SegmentationData:
    return open_dataset(make_data(size=(100, 50)))


def test_images_stand_two_in_a_row_with_truth_and_prediction(
    data: SegmentationData, tmp_path: Path
) -> None:
    predictor = Predictor(Ground(), data.labels, PREPROCESSING, device="cpu")
    path = tmp_path / "predictions.png"
    draw_predictions(path, predictor, data, split="test")
    with Image.open(path) as sheet:
        pixels = np.asarray(sheet)
    # each of the 3 images is scaled to 200 x 100 and comes in 3 panes, below a line of text
    assert pixels.shape[1] == 2 * 300 + 6
    assert pixels.shape[0] > 2 * (200 + 18 + 6)
    ground, disc = (np.array(colour) for colour in data.labels.colours)
    truth, prediction = pixels[18 + 100, 150].astype(int), pixels[18 + 100, 250].astype(int)
    assert np.abs(truth - disc).sum() < np.abs(truth - ground).sum()  # of the disc's middle
    assert np.abs(prediction - ground).sum() < np.abs(prediction - disc).sum()
    assert (pixels[300:420, 310:] == 255).all(), "the fourth place is empty"


def test_no_more_images_are_drawn_than_asked_for(data: SegmentationData, tmp_path: Path) -> None:
    predictor = Predictor(Ground(), data.labels, PREPROCESSING, device="cpu")
    heights = []
    for count in (2, 8):
        draw_predictions(tmp_path / "p.png", predictor, data, split="train", count=count)
        with Image.open(tmp_path / "p.png") as sheet:
            heights.append(sheet.height)
    assert heights[1] - heights[0] == 3 * (200 + 18 + 6)
