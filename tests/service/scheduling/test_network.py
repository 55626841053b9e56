"""Large images go to the network tile by tile, through the queue that all share."""

from __future__ import annotations

import asyncio
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from maskzoo import PredictOptions, Predictor
from maskzoo.service.app import create_app
from maskzoo.service.scheduling.network import Bucket, NetworkAccess, TileBucket
from maskzoo.service.scheduling.queueing import BatchQueue, Item
from maskzoo.service.settings import Settings


def large_image(height: int = 150, width: int = 200) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    bright = (rows // 17 + columns // 23) % 2 == 0
    return np.where(bright, 220, 20).astype(np.uint8)[..., None].repeat(3, axis=2)


def labels_of(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def test_a_large_image_is_tiled_and_its_mask_is_that_of_the_whole(start, counted_model, encode):
    counted_model.whole_pixels = 10_000
    client = start(counted_model)
    pixels = large_image()
    answer = client.post("/segment", content=encode(pixels))
    assert (labels_of(answer) == (pixels[..., 0] > 127)).all()
    assert counted_model.calls == 0
    assert sum(counted_model.tiles) > 4
    report = client.post("/segment?format=json", content=encode(pixels)).json()
    assert report["mode"] == "tiled"
    assert report["classes"][1]["confidence"] == pytest.approx(0.946, abs=0.01)


def test_mode_tiled_is_obeyed_for_a_small_image_too(start, counted_model, png):
    client = start(counted_model)
    assert client.post("/segment?mode=tiled", content=png).status_code == 200
    assert counted_model.tiles == [1]
    assert client.post("/segment?mode=tiled&max_side=64", content=png).status_code == 422


def test_tiles_of_two_images_run_together(start, held_model, encode, wait_until, png):
    held_model.whole_pixels = 10_000
    client = start(held_model)
    queue = client.app.state.services.batcher.queue
    with ThreadPoolExecutor(3) as pool:
        blocker = pool.submit(client.post, "/segment", content=png)
        assert held_model.started.wait(120)
        body = encode(large_image())
        waiting = [pool.submit(client.post, "/segment", content=body) for _ in range(2)]
        wait_until(lambda: len(queue) == 8)
        held_model.release.set()
        assert [one.result().status_code for one in [blocker, *waiting]] == [200] * 3
    assert max(held_model.tiles) > 4, "of more than one image"


def test_tiles_of_one_image_are_sent_ahead_and_run_together(
    start, held_model, encode, wait_until, png
):
    held_model.whole_pixels = 10_000
    client = start(held_model)
    queue = client.app.state.services.batcher.queue
    pixels = large_image()
    with ThreadPoolExecutor(2) as pool:
        blocker = pool.submit(client.post, "/segment", content=png)
        assert held_model.started.wait(120)
        waiting = pool.submit(client.post, "/segment", content=encode(pixels))
        wait_until(lambda: len(queue) == 4)
        held_model.release.set()
        assert blocker.result().status_code == 200
        assert (labels_of(waiting.result()) == (pixels[..., 0] > 127)).all()
    assert 4 in held_model.tiles


@pytest.mark.parametrize(("num_classes", "most"), [(20, 4), (300, 3), (2000, 1)])
def test_few_tiles_are_on_their_way_where_their_logits_are_large(num_classes, most):
    inside, seen, all_inside = 0, [], asyncio.Event()

    async def submit(bucket, tile, **facts):
        nonlocal inside
        inside += 1
        seen.append(inside)
        if inside >= most:
            all_inside.set()
        await asyncio.wait_for(all_inside.wait(), 120)
        await asyncio.sleep(0.01)  # time for one too many
        inside -= 1
        return tile, 0.0

    model = SimpleNamespace(
        predictor=None,
        name="roofs",
        labels=SimpleNamespace(num_classes=num_classes),
        manifest=SimpleNamespace(weights_sha256="0"),
    )
    tiles = [np.full((256, 256), number) for number in range(9)]

    async def run() -> list[np.ndarray]:
        access = NetworkAccess(
            SimpleNamespace(submit=submit), asyncio.get_running_loop(), model, PredictOptions()
        )
        return await asyncio.to_thread(lambda: list(access.run_tiles(tiles)))

    found = asyncio.run(run())
    assert [tile[0, 0] for tile in found] == list(range(9))
    assert max(seen) == most


def test_a_deadline_stops_the_walk_over_the_image(start, held_model, encode, png, wait_until):
    held_model.whole_pixels = 10_000
    client = start(held_model)
    with ThreadPoolExecutor(1) as pool:
        blocker = pool.submit(client.post, "/segment", content=png)
        assert held_model.started.wait(120)
        late = client.post(
            "/segment",
            content=encode(large_image()),
            headers={"x-request-timeout-seconds": "0.1"},
        )
        assert late.status_code == 504
        held_model.release.set()
        assert blocker.result().status_code == 200
    assert held_model.tiles == []
    assert client.post("/segment", content=encode(large_image())).status_code == 200


def test_a_failing_tile_fails_its_image_alone(start, counted_model, encode, png):
    counted_model.whole_pixels = 10_000
    client = start(counted_model)

    def fail(images, options):
        raise RuntimeError("broken")

    counted_model.logits = fail
    assert client.post("/segment", content=encode(large_image())).status_code == 500
    assert client.post("/segment", content=png).status_code == 200


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sideways", "unknown view 'sideways'"),
        ("d4+multiscale:4,3.9,3.8", "at most 32"),
        ("flip:2", "only multiscale has scales"),
    ],
)
def test_views_that_are_none_or_too_many_are_refused(client, png, words, message):
    answer = client.post("/segment", params={"tta": words}, content=png)
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_a_real_network_gives_over_http_what_its_predictor_gives(bundles, encode):
    predictor = Predictor.from_bundle(bundles / "cells", engine="torch", device="cpu")
    pixels = np.random.default_rng(3).integers(0, 255, (530, 80, 3), np.uint8)
    settings = Settings(
        bundles=(bundles,), shipped_bundles=False, preload=False, engine="torch", device="cpu"
    )
    with TestClient(create_app(settings)) as client:
        for query, options in [
            ("mode=tiled", PredictOptions(mode="tiled")),
            ("mode=whole&tta=d4", PredictOptions(mode="whole", tta="d4")),
            ("mode=tiled&tta=flip", PredictOptions(mode="tiled", tta="flip")),
        ]:
            found = labels_of(client.post(f"/segment?model=cells&{query}", content=encode(pixels)))
            assert (found == predictor.segment(pixels, options).label_map).all()


BUCKETS = [
    Bucket("predictor", (64, 64), PredictOptions()),
    TileBucket("predictor", (64, 64), PredictOptions()),
]
OTHERS = {
    "predictor": "another predictor",
    "input_size": (64, 96),
    "size": (64, 96),
    "options": PredictOptions(tta="flip"),
}
OTHER_OPTIONS = {
    "mode": "whole",
    "max_side": 64,
    "tta": "d4",
    "overlap": 0.5,
    "confidence": False,
    "probabilities": True,
}


def batch_sizes(*buckets: Bucket | TileBucket) -> list[int]:
    """Return how many items of these buckets run in each batch."""
    queue = BatchQueue(max_batch_pixels=100, max_batch_items=10)
    for bucket in buckets:
        queue.put(Item(bucket, 10, "work", entered=0.0))
    sizes = []
    while queue:
        sizes.append(len(queue.take(1.0)[0]))
    return sizes


@pytest.mark.parametrize(
    ("bucket", "name"),
    [(bucket, field.name) for bucket in BUCKETS for field in fields(bucket) if field.compare],
)
def test_buckets_that_differ_in_one_field_never_share_a_batch(bucket, name):
    assert batch_sizes(bucket, replace(bucket), bucket) == [3]
    assert batch_sizes(bucket, replace(bucket, **{name: OTHERS[name]}), bucket) == [2, 1]


@pytest.mark.parametrize("bucket", BUCKETS)
@pytest.mark.parametrize("name", [field.name for field in fields(PredictOptions)])
def test_buckets_that_differ_in_one_option_never_share_a_batch(bucket, name):
    changed = replace(bucket.options, **{name: OTHER_OPTIONS[name]})
    assert batch_sizes(bucket, replace(bucket, options=changed)) == [1, 1]


def test_a_bucket_and_a_bucket_of_tiles_never_share_a_batch():
    assert batch_sizes(*BUCKETS) == [1, 1]


class Noting:
    """A batcher that notes what is sent to it and how."""

    def __init__(self) -> None:
        self.sent: list[tuple[object, dict[str, object]]] = []

    async def submit(self, bucket, work, **options):
        """Note an item."""
        self.sent.append((bucket, options))
        return "found", 0.5


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_an_item_names_its_network_its_deadline_its_pixels_and_its_views(tta):
    async def scenario() -> Noting:
        batcher = Noting()
        manifest = SimpleNamespace(weights_sha256="5ha")
        model = SimpleNamespace(
            name="roofs",
            predictor="p",
            manifest=manifest,
            labels=SimpleNamespace(num_classes=2),
        )
        options = PredictOptions(tta=tta, max_side=32, mode="resize")
        network = NetworkAccess(batcher, asyncio.get_running_loop(), model, options, deadline=77.0)
        plan = SimpleNamespace(image=(300, 400), padded=(24, 32))
        assert await network.segment(np.zeros((300, 400, 3)), plan) == ("found", 0.5)
        tiles = await asyncio.to_thread(list, network.run_tiles([np.zeros((64, 96, 3))]))
        assert tiles == ["found"]
        return batcher

    whole, tile = asyncio.run(scenario()).sent
    assert whole[0].model == tile[0].model == "roofs"
    common = {"deadline": 77.0, "network": "5ha"}
    options = PredictOptions(tta=tta, max_side=32, mode="resize")
    assert whole == (Bucket("p", (24, 32), options), {"pixels": 24 * 32, **common})
    wanted = TileBucket("p", (64, 96), PredictOptions(mode="whole", tta=tta))
    assert tile == (wanted, {"pixels": 64 * 96, **common})
