"""A service on a real GPU: under load, and when its model is loaded again and again.

The same checks run on the CPU as slow tests, so that they do not fail for their own mistakes where
a GPU is at hand.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from tests.models import tiny
from tests.service.process import Server

DEVICES = [
    pytest.param("cpu", marks=pytest.mark.slow),
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]
TOKEN = "a token of the tests"
LEEWAY = 256 << 20


def photo(seed: int, size: tuple[int, int]) -> bytes:
    """Return blobs of colour as a PNG."""
    random = np.random.default_rng(seed)
    pixels = cv2.resize(random.integers(0, 256, (7, 9, 3), np.uint8), size[::-1])
    return cv2.imencode(".png", pixels)[1].tobytes()


@contextmanager
def serving(folder: Path, device: str) -> Iterator[Server]:
    """Serve a tiny network on a device, by the engine that the device gets by itself."""
    tiny.bundle(folder / "bundles" / "tiny")
    settings = {"device": device, "engine": "auto", "admin_token": TOKEN}
    server = Server(folder / "bundles", folder / "state", **settings)
    try:
        yield server
    finally:
        server.close()


def mask_of(server: Server, image: bytes) -> np.ndarray:
    """Return the mask of an image; the service must not refuse it."""
    answer = server.client.post("/segment", files={"file": ("a.png", image)})
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


@pytest.mark.parametrize("device", DEVICES)
def test_under_load_each_answer_is_the_mask_of_its_image(tmp_path: Path, device: str) -> None:
    sizes = [(64, 80), (96, 64), (128, 128)]
    images = [photo(seed, sizes[seed % 3]) for seed in range(12)]
    with serving(tmp_path, device) as server:
        alone = [mask_of(server, image) for image in images]
        chosen = [number % len(images) for number in range(20 * len(images))]
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(lambda number: mask_of(server, images[number]), chosen))
        engine = server.client.get("/models").json()["models"][0]["engine"]["name"]
    for number, mask in zip(chosen, found, strict=True):
        assert (mask == alone[number]).mean() > 0.999  # batches sum in another order
    predictor = Predictor.from_bundle(tmp_path / "bundles" / "tiny", device="cpu", engine="torch")
    for image, mask in zip(images, alone, strict=True):
        expected = predictor.segment(image, PredictOptions(confidence=False)).label_map
        assert (mask == expected).mean() > 0.95  # bfloat16
    if device == "cuda":
        assert engine == "cuda-graphs"


def used_bytes(device: str, server: Server) -> int:
    """Return the memory that is used on the device; on a CPU that of the service."""
    if device == "cuda":
        free, total = torch.cuda.mem_get_info()
        return total - free
    fields = Path(f"/proc/{server.process.pid}/statm").read_text().split()
    return int(fields[1]) * 4096


@pytest.mark.parametrize("device", DEVICES)
def test_a_model_that_is_loaded_again_gives_its_memory_back(tmp_path: Path, device: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    image = photo(1, (256, 256))
    with serving(tmp_path, device) as server:

        def again() -> int:
            for action in ("unload", "load"):
                path = f"/admin/models/tiny/{action}"
                assert server.client.post(path, headers=headers).status_code in (200, 202)
            server.wait(lambda: _is_ready(server))
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: mask_of(server, image), range(32)))
            return used_bytes(device, server)

        amounts = [again() for _ in range(6)]
    assert amounts[-1] <= amounts[1] + LEEWAY, amounts


def _is_ready(server: Server) -> bool:
    models = server.client.get("/models").json()["models"]
    return all(one["state"] == "ready" for one in models)
