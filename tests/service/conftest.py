"""A service with a model that needs no network: it tells dark from bright pixels."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from maskzoo import create_model, save_bundle
from maskzoo.models.images.rows import PixelRows
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.postprocess import to_probabilities
from maskzoo.models.inference.resize import InputPlan
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.models.inference.tiled import LabelStrip, OnTile, RunTiles, TileWalk
from maskzoo.models.inference.tiles import lay_tiles
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.app import create_app
from maskzoo.service.settings import Settings
from tests.service.collector import Collector
from tests.service.listening import listening
from tests.service.process import Server

LABELS = LabelSet(
    names=("background", "nucleus"), colours=((0, 0, 0), (40, 200, 120)), background=0
)


class BrightnessModel:
    """Calls a pixel class 1 where its red value is over 127; certain by its distance from it.

    Images of more than `whole_pixels` are tiled by mode `auto`; tiles have a side of 64.
    """

    whole_pixels = 1_000_000

    def __init__(self) -> None:
        self.calls = 0
        self.batches: list[int] = []
        self.tiles: list[int] = []

    def plan(self, size: tuple[int, int], options: PredictOptions) -> InputPlan:
        """Take each image as it is; tile large ones."""
        chosen = options.mode
        if chosen == "auto":
            chosen = "tiled" if size[0] * size[1] > self.whole_pixels else "whole"
        grid = lay_tiles(size, (64, 64)) if chosen == "tiled" else None
        return InputPlan(chosen, size, size, size, grid)

    def run_bytes(self, size: tuple[int, int]) -> int:
        """Take nothing."""
        return 0

    def segment_batch(
        self,
        images: Sequence[np.ndarray],
        options: PredictOptions,
        *,
        plans: Sequence[InputPlan] | None = None,
    ) -> list[Segmentation]:
        """Segment by one comparison each."""
        self.calls += 1
        self.batches.append(len(images))
        return [self._segment(image, options) for image in images]

    def logits(self, images: Sequence[np.ndarray], options: PredictOptions) -> list[np.ndarray]:
        """Give class 1 the logit red / 64 - 2, class 0 its negative."""
        self.tiles.append(len(images))
        return [_brightness(image) for image in images]

    def segment_rows(
        self,
        rows: PixelRows,
        options: PredictOptions,
        *,
        on_tile: OnTile = lambda done, total: None,
        run_tiles: RunTiles | None = None,
    ) -> Iterator[LabelStrip]:
        """Go over the image in tiles of 64."""
        grid = lay_tiles((rows.height, rows.width), (64, 64))
        run = run_tiles or partial(map, _brightness)
        walk = TileWalk(rows, grid, run, num_classes=2, on_tile=on_tile)
        return walk.strips(confidence=options.confidence)

    def _segment(self, image: np.ndarray, options: PredictOptions) -> Segmentation:
        if options.probabilities:
            found = to_probabilities(_brightness(image))
            return Segmentation(*found[:2], LABELS, "whole", {}, probabilities=found[2])
        red = image[:, :, 0].astype(np.float32)
        certain = (0.5 + np.abs(red - 127.5) / 255).astype(np.float16)
        return Segmentation(
            label_map=(red > 127).astype(np.uint8),
            confidence=certain if options.confidence else None,
            labels=LABELS,
            timings={"network": 0.0},
            mode=self.plan(red.shape, options).mode,
        )


def _brightness(image: np.ndarray) -> np.ndarray:
    """Return float32 logits (2, H, W): class 1 has red / 64 - 2, class 0 its negative."""
    bright = image[:, :, 0].astype(np.float32) / 64 - 2
    return np.stack([-bright, bright])


class HeldModel(BrightnessModel):
    """Works until the test lets it go, so that no test needs a clock."""

    def __init__(self) -> None:
        super().__init__()
        self.started = threading.Event()
        self.release = threading.Event()

    def segment_batch(
        self,
        images: Sequence[np.ndarray],
        options: PredictOptions,
        *,
        plans: Sequence[InputPlan] | None = None,
    ) -> list[Segmentation]:
        """Wait, then segment."""
        self.started.set()
        assert self.release.wait(120), "the test never released the model"
        return super().segment_batch(images, options, plans=plans)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tiny bundles, `cells` and `streets`, of untrained networks."""
    folder = tmp_path_factory.mktemp("bundles")
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    streets = LabelSet.from_names(["road", "building", "tree"])
    for name, labels in (("cells", LABELS), ("streets", streets)):
        network = create_model(
            "unet", encoder="tu-test_resnet", num_classes=labels.num_classes
        ).eval()
        save_bundle(folder / name, network, name=name, labels=labels, preprocessing=preprocessing)
    return folder


StartClient = Callable[..., TestClient]


@pytest.fixture
def start(bundles: Path, tmp_path: Path) -> Iterator[StartClient]:
    """Start services: `start(model, **settings)` gives a client whose models are all ready."""
    with ExitStack() as stack:

        def begin(model: BrightnessModel | None = None, **settings: object) -> TestClient:
            chosen = model or BrightnessModel()
            known = {
                "bundles": (bundles,),
                "shipped_bundles": False,
                "state_folder": tmp_path / "state",
                "job_free_bytes": 0,
                **settings,
            }
            app = create_app(Settings(**known), load_model=lambda _: chosen)
            client = stack.enter_context(TestClient(app))
            if app.state.services.settings.preload:
                wait_until(app.state.services.manager.is_ready)
            return client

        yield begin


@pytest.fixture
def client(start: StartClient) -> TestClient:
    """A service with default settings."""
    return start()


@pytest.fixture
def serve(bundles: Path, tmp_path: Path) -> Iterator[object]:
    """Start services that listen: `serve(model, loop="auto", **settings)` gives an address.

    `model` may be a function that returns one for the folder of a bundle.
    """

    def begin(
        model: object, *, loop: Literal["auto", "asyncio"] = "auto", **settings: object
    ) -> str:
        known = {
            "bundles": (bundles,),
            "shipped_bundles": False,
            "state_folder": tmp_path / "state",
            "job_free_bytes": 0,
            **settings,
        }
        load = model if callable(model) else lambda _: model
        app = create_app(Settings(**known), load_model=load)
        return stack.enter_context(listening(app, loop=loop))

    with ExitStack() as stack:
        yield begin


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another thread to make `condition` true."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "waited 120 s in vain"
        time.sleep(0.005)


def bright_box(height: int = 40, width: int = 60) -> np.ndarray:
    """Return a dark image with one bright rectangle: columns 10-29 of rows 5-14."""
    pixels = np.full((height, width, 3), 20, np.uint8)
    pixels[5:15, 10:30] = 220
    return pixels


def encode(pixels: np.ndarray, suffix: str = ".png") -> bytes:
    """Encode RGB pixels."""
    done, data = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


@pytest.fixture(scope="session")
def png() -> bytes:
    """An encoded image with 200 bright pixels of 2400."""
    return encode(bright_box())


@pytest.fixture(scope="session")
def labels() -> LabelSet:
    """The classes of the models here."""
    return LABELS


def _routes_of(app: FastAPI) -> list[tuple[str, str]]:
    """Return (method, path) of every route, those of included routers too."""
    found = []
    waiting = list(app.routes)
    for route in waiting:
        if isinstance(route, APIRoute):
            path = route.path.replace("{job_id}", "0" * 32)
            path = re.sub(r"\{(\w+)\}", r"\1", path)
            found += [(method, path) for method in sorted(route.methods)]
        else:
            waiting += getattr(getattr(route, "original_router", None), "routes", [])
    assert len(found) > 30, "the routes of the service are no longer found"
    return found


@pytest.fixture(scope="session")
def routes_of() -> Callable[[FastAPI], list[tuple[str, str]]]:
    """`routes_of(app)`: (method, path) of every route, its parameters filled in by their names."""
    return _routes_of


@pytest.fixture
def held_model() -> Iterator[HeldModel]:
    """A model that works until `release` is set; it is let go at the end in any case."""
    model = HeldModel()
    yield model
    model.release.set()


@pytest.fixture
def counted_model() -> BrightnessModel:
    """A model that counts its calls."""
    return BrightnessModel()


Encode = Callable[..., bytes]


@pytest.fixture(name="encode", scope="session")
def encode_fixture() -> Encode:
    """`encode(pixels, suffix=".png")`: RGB pixels to a file's bytes."""
    return encode


@pytest.fixture(name="wait_until", scope="session")
def wait_until_fixture() -> Callable[[Callable[[], bool]], None]:
    """`wait_until(condition)`: wait for another thread."""
    return wait_until


@pytest.fixture
def run(bundles: Path, tmp_path: Path) -> Iterator[Callable[..., object]]:
    """`with run(**settings) as server`: a process of its own; all share a state folder."""
    with ExitStack() as stack:

        @contextmanager
        def begin(**settings: object) -> Iterator[Server]:
            server = Server(bundles, **{"state": tmp_path / "state", **settings})
            stack.callback(server.close)
            yield server

        yield begin


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector of traces that listens."""
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 6 MiB of its own; skipped where the tests may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    try:
        can_mount = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True).returncode
    except (AttributeError, FileNotFoundError):
        can_mount = False
    if not can_mount:
        pytest.skip("needs root and the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@pytest.fixture
def fill() -> Callable[[Path], None]:
    """`fill(path)` lets a file grow until its disk is full."""
    return _fill
