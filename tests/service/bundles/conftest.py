"""A manager under fake loaders, and tiny bundles to serve."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import torch

from maskzoo import create_model, save_bundle
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.errors import BundleError
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.bundles.manager import ModelManager


class HeldLoader:
    """Counts loads and holds each until it is released."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.release = threading.Event()

    def __call__(self, path: Path) -> object:
        """Load nothing."""
        self.paths.append(path)
        assert self.release.wait(120)
        return object()


class CountingLoader:
    """Makes an object that knows its bundle; the path of `broken` raises."""

    def __init__(self, broken: str = "") -> None:
        self.paths: list[str] = []
        self.broken = broken

    def __call__(self, path: Path) -> object:
        """Load nothing."""
        self.paths.append(path.name)
        if self.broken and self.broken in str(path):
            raise BundleError(f"{path}: weights are damaged")
        return (path, read_manifest(path).weights_sha256)


def _play(
    scenario: Callable[[ModelManager], Awaitable[None]], folders: list[Path], **options: object
) -> None:
    async def whole() -> None:
        manager = ModelManager(folders, **{"load": CountingLoader(), **options})
        try:
            await asyncio.wait_for(scenario(manager), 120)
        finally:
            manager.close()

    asyncio.run(whole())


@functools.cache
def _tiny_network() -> torch.nn.Module:
    return create_model("unet", encoder="tu-test_resnet", num_classes=2).eval()


def _write(folder: Path, name: str = "cells") -> Path:
    """Write a tiny bundle whose weights nobody wrote before."""
    network = _tiny_network()
    with torch.no_grad():
        network.classifier.conv.bias += 1
    labels = LabelSet.from_names(["class 0", "class 1"])
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    folder.parent.mkdir(parents=True, exist_ok=True)
    return save_bundle(folder, network, name=name, labels=labels, preprocessing=preprocessing)


async def _settle(manager: ModelManager) -> None:
    """Look twice, and wait for the loads that follow."""
    await manager.rescan()
    await manager.rescan()
    while manager._loads:
        await asyncio.gather(*manager._loads.values())


@pytest.fixture(scope="session")
def play() -> Callable[..., None]:
    """`play(scenario, folders, **options)`: run a scenario with a manager of these folders."""
    return _play


@pytest.fixture(scope="session")
def write_bundle() -> Callable[..., Path]:
    """`write_bundle(folder, name="cells")`: a tiny bundle whose weights nobody wrote before."""
    return _write


@pytest.fixture(scope="session")
def settle() -> Callable[[ModelManager], Awaitable[None]]:
    """`await settle(manager)`: poll the disk twice, and wait for the loads that follow."""
    return _settle


@pytest.fixture
def held_loader() -> HeldLoader:
    """A loader that waits until `release` is set; `paths` are those it was asked for."""
    return HeldLoader()


@pytest.fixture
def counting_loader() -> type[CountingLoader]:
    """`counting_loader(broken="")`: notes the folders; those with `broken` in their path fail."""
    return CountingLoader
