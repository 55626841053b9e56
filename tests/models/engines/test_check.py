"""Check images: what an engine is held against."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from maskzoo import cli
from maskzoo.models.engines.artefact import CHECK
from maskzoo.models.engines.check import CheckImages, generated_images
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.errors import NotFiniteError
from tests.models import tiny


def test_the_check_images_tell_a_wrong_network_from_the_right_one(tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = generated_images(3)
    one, other = (
        EagerEngine(torch.nn.Conv2d(3, 4, 1), in_channels=3, num_classes=4, device="cpu")
        for _ in range(2)
    )
    check = CheckImages.of(one, tiny.PREPROCESSING, images)
    check.save(tmp_path / "check.npz")
    loaded = CheckImages.load(tmp_path / "check.npz")
    assert loaded.agreement(one, tiny.PREPROCESSING) == 1
    assert loaded.agreement(other, tiny.PREPROCESSING) < 0.9


class Fixed:
    """An engine of 2 classes that gives the same logits for each image."""

    name, precision = "fixed", "float16"
    takes_pixels = False
    device = torch.device("cpu")
    in_channels, num_classes = 3, 2
    choice = None

    def __init__(self, logits: list[list[float]]) -> None:
        self._logits = torch.tensor(logits).T[None, :, None]  # (1, K, 1, w)

    def run(self, batch: torch.Tensor) -> torch.Tensor:
        return self._logits.expand(len(batch), -1, -1, -1)


PIXELS = [np.zeros((8, 8, 3), np.uint8)]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_pixel_without_finite_logits_has_no_class_to_agree_on(value: float) -> None:
    # In torch's argmax nan and infinity would win, here as class 1: the right one.
    check = CheckImages.of(Fixed([[0, 1], [0, 1], [1, 0], [1, 0]]), tiny.PREPROCESSING, PIXELS)
    broken = Fixed([[0, value], [0, 1], [1, 0], [0, 1]])
    assert check.agreement(broken, tiny.PREPROCESSING) == 2 / 4


def test_torch_itself_must_give_finite_logits() -> None:
    with pytest.raises(NotFiniteError, match="engine 'fixed' in float16"):
        CheckImages.of(Fixed([[0, np.nan]]), tiny.PREPROCESSING, PIXELS)


def test_check_images_that_are_given_are_kept_and_large_ones_only_by_their_middle(
    exported: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (300, 280, 3), np.uint8)
    picture = tmp_path / "typical.png"
    assert cv2.imwrite(str(picture), pixels[:, :, ::-1])
    with pytest.raises(SystemExit, match="0"):
        cli.main(["export", str(exported), "--check", str(picture), "-o", str(tmp_path)])
    (kept,) = CheckImages.load(tmp_path / "openvino-fp32" / CHECK).pixels
    np.testing.assert_array_equal(kept, pixels[22:278, 12:268])
