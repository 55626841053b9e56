"""The bundle that is compiled, served and asked: DeepLabV3+ with random weights, made once."""

from __future__ import annotations

from pathlib import Path

import torch

from maskzoo import create_model, save_bundle
from maskzoo.models.labels import LabelSet
from on_gpu.setup import CLASSES, PREPROCESSING, Setup


def made_bundle(setup: Setup) -> Path:
    """Return its folder; all parts of a run get the same weights."""
    path = setup.out / "bundles" / setup.encoder
    if not path.is_dir():
        torch.manual_seed(0)
        network = create_model("deeplabv3plus", encoder=setup.encoder, num_classes=CLASSES)
        names = tuple(f"class_{number}" for number in range(CLASSES))
        colours = tuple((9 * number, 255 - 9 * number, 5 * number) for number in range(CLASSES))
        labels = LabelSet(names=names, colours=colours)
        save_bundle(path, network, name="made", labels=labels, preprocessing=PREPROCESSING)
    return path
