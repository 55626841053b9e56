"""Orders and workplaces without a server: a fake network behind a real batcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from maskzoo.models.images.decode import read_header
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.answering.network import LocalNetwork, MemoryArrays
from maskzoo.service.answering.order import Order
from maskzoo.service.answering.segment import Workplace
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.scheduling.network import NetworkAccess, run_batch
from maskzoo.service.scheduling.queueing import BatchQueue
from maskzoo.service.scheduling.workers import Workers
from maskzoo.service.schemas import SegmentOptions
from maskzoo.service.settings import Settings

MakeOrder = Callable[..., Order]

RGB = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)


@pytest.fixture
def model(counted_model, labels: LabelSet) -> LoadedModel:
    """A loaded model that tells dark from bright; images of 10 000 pixels and more are tiled."""
    counted_model.whole_pixels = 10_000
    manifest = SimpleNamespace(labels=labels, weights_sha256="0", preprocessing=RGB)
    return LoadedModel("cells", "1", manifest, counted_model)


@pytest.fixture
def make_order(model: LoadedModel) -> MakeOrder:
    """`make_order(needs, max_pixels=…, **options)`: an order of the model."""

    def make(
        needs: AnswerNeeds | None = None, *, max_pixels: int = 10**6, **options: object
    ) -> Order:
        return Order(
            model,
            SegmentOptions(**options),
            needs or AnswerNeeds(),
            request_id="r1",
            limits=CostLimits.of(Settings(max_pixels=max_pixels)),
            file_name="a.png",
        )

    return make


@asynccontextmanager
async def open_place(
    order: Order, source: bytes | Path, **changes: object
) -> AsyncIterator[Workplace]:
    """Open a workplace for the order of one image."""
    workers = Workers(image_threads=1, network_threads=1)
    queue = BatchQueue(max_batch_pixels=10**6, max_batch_items=8)
    batcher = Batcher(partial(run_batch, workers), queue)
    access = NetworkAccess(batcher, asyncio.get_running_loop(), order.model, order.predict_options)
    plan = order.plan(read_header(source))
    usual = {"in_tile_thread": workers.on_tiles, "arrays": MemoryArrays()}
    try:
        network = LocalNetwork(plan, access, **{**usual, **changes})
        yield Workplace(network, workers.on_image)
    finally:
        await batcher.close()
        workers.close()


@pytest.fixture(name="open_place")
def open_place_fixture():
    """`async with open_place(order, source, on_tile=…) as place`."""
    return open_place
