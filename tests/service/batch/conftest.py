"""A tiny bundle and a folder of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo import create_model, save_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.batch.worker import BatchWork


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny bundle with random weights and three classes."""
    torch.manual_seed(0)
    network = create_model("unet", encoder="tu-resnet10t", num_classes=3).eval()
    labels = LabelSet.from_names(["sea", "shore", "land"])
    preprocessing = Preprocessing(
        mean=network.encoder.mean, std=network.encoder.std, train_size=(64, 64), max_side=None
    )
    path = tmp_path_factory.mktemp("bundles") / "tiny"
    return save_bundle(path, network, name="tiny", labels=labels, preprocessing=preprocessing)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two images of one name in two sub-folders, and a file that is no image."""
    folder = tmp_path / "images"
    draw = np.random.default_rng(0)
    for name in ("a/x.png", "b/x.png"):
        (folder / name).parent.mkdir(parents=True)
        Image.fromarray(draw.integers(0, 255, (40, 56, 3), np.uint8)).save(folder / name)
    (folder / "a/bad.png").write_bytes(b"this is no image")
    return folder


@pytest.fixture
def work(bundle: Path, tmp_path: Path) -> BatchWork:
    """Masks and overlays into the folder `out`, by the tiny bundle on one core."""
    return BatchWork(
        bundle=str(bundle),
        weights_sha256=read_manifest(bundle).weights_sha256,
        out=str(tmp_path / "out"),
        options=PredictOptions(),
        engine="torch",
        device="cpu",
        threads=1,
    )
