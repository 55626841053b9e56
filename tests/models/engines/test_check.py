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
