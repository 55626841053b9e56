"""A tiny data set and a tiny configuration, enough for whole runs in a second or two."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from maskzoo.training.config.load import load_config
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.loggers.display import Display

SPLIT_SIZES = {"train": 10, "val": 3, "test": 3}

_TINY = (
    "model.architecture=unet",
    "model.encoder=tu-resnet10t",
    "model.encoder_options={channels: [4, 8, 8, 16], stem_width: 4}",
    "model.options={channels: [8, 8, 8, 8]}",
    "loader.crop_size=32",
    "loader.crops_per_image=1",
    "loader.num_workers=0",
    "batch_size=4",
    "runtime.micro_batch=4",
    "epochs=100",
    "max_steps=6",
    "validate_every=2",
    "runtime.accelerator=cpu",
    "runtime.precision=fp32",
    "bundle.name=discs",
    "bundle.engine=none",
)

MakeData = Callable[..., Path]
MakeConfig = Callable[..., TrainConfig]


def scene(number: int, size: tuple[int, int] = (48, 48)) -> tuple[np.ndarray, np.ndarray]:
    """Return a noisy image with a bright disc, and its mask of 0 and 1."""
    random = np.random.default_rng(number)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    radius = min(size) * random.uniform(0.2, 0.35)
    centre = random.uniform(0.35, 0.65, 2) * size
    disc = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2
    image = random.normal(70, 20, (height, width, 3)) + 110 * disc[:, :, None]
    return image.clip(0, 255).astype(np.uint8), disc.astype(np.uint8)


@pytest.fixture(scope="session")
def make_data(tmp_path_factory: pytest.TempPathFactory) -> MakeData:
    """Write a data set: make_data(size=(48, 48), alter=None) -> folder.

    `alter(number, image, mask)` may return another image and mask.
    """

    def make(size: tuple[int, int] = (48, 48), alter: Callable | None = None) -> Path:
        root = tmp_path_factory.mktemp("data") / "discs"
        number = 0
        for split, count in SPLIT_SIZES.items():
            for kind in ("images", "masks"):
                (root / kind / split).mkdir(parents=True)
            for _ in range(count):
                image, mask = scene(number, size)
                if alter is not None:
                    image, mask = alter(number, image, mask)
                name = f"{number:02}.png"
                Image.fromarray(image).save(root / "images" / split / name)
                Image.fromarray(mask).save(root / "masks" / split / name)
                number += 1
        lines = "encoding: values\nignore: [255]\nclasses:\n"
        lines += "  - {name: ground, values: [0]}\n  - {name: disc, values: [1]}\n"
        (root / "dataset.yaml").write_text(lines)
        return root

    return make


@pytest.fixture(scope="session")
def discs(make_data: MakeData) -> Path:
    """A data set of bright discs: 10 images to train, 3 to validate, 3 to test."""
    return make_data()


@pytest.fixture(scope="session")
def tiny() -> MakeConfig:
    """Return a configuration for the discs: tiny("max_steps=3", …)."""

    def make(*overrides: str) -> TrainConfig:
        return load_config([*_TINY, *overrides])

    return make


@pytest.fixture
def display() -> Display:
    """A display whose text can be read: display.console.file.getvalue()."""
    return Display(Console(file=io.StringIO(), width=400))


@pytest.fixture
def shown(display: Display) -> Callable[[], str]:
    """Return what the display has shown so far."""

    def text() -> str:
        file: Any = display.console.file
        return file.getvalue()

    return text
