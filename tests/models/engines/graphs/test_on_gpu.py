"""Graphs on a real GPU. One run of these takes a few minutes: `pytest -m gpu`."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.batches import check_batches
from maskzoo.models.engines.check import CheckImages, generated_images
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.graphs.check import check_masks
from maskzoo.models.engines.graphs.device import CudaDevice
from maskzoo.models.engines.graphs.engine import CudaGraphsEngine
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.service.bundles.memory import release_memory
from tests.models import tiny

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
CUDA = torch.device("cuda:0")


def image(seed: int, height: int = 128, width: int = 160) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def engine(name: str = "unet", **options: object) -> CudaGraphsEngine:
    network = tiny.at_unit_scale(tiny.build(name).eval())
    return CudaGraphsEngine(network, tiny.PREPROCESSING, CudaDevice(CUDA), **options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_captured_and_as_near_to_float32_as_eager_torch(name: str) -> None:
    network = tiny.at_unit_scale(tiny.build(name).eval())
    reference = EagerEngine.of(tiny.at_unit_scale(tiny.build(name).eval()), network.spec, "cpu")
    check = CheckImages.of(reference, tiny.PREPROCESSING, generated_images(3))
    graphs = engine(name)
    with graphs.capturing():
        agreement = check.agreement(graphs, tiny.PREPROCESSING)
        check_batches(graphs, tiny.PREPROCESSING)
        check_masks(graphs, generated_images(3)[:2])
        assert graphs.failure is None
        assert len(graphs.buckets) >= 6
    eager = EagerEngine.of(network, network.spec, str(CUDA))
    assert agreement >= min(0.999, check.agreement(eager, tiny.PREPROCESSING) - 0.002)


def test_replays_from_many_threads_never_mix_their_images() -> None:
    graphs = engine(half=False)
    graphs.prepare((128, 160), [1, 2, 3, 4])
    wanted = [graphs.masks([image(seed)])[0].label_map for seed in range(8)]

    def ask(job: int) -> bool:
        seeds = [(job + row) % 8 for row in range(1 + job % 4)]
        rows = graphs.masks([image(seed) for seed in seeds])
        return all(
            (row.label_map == wanted[seed]).mean() > 0.999
            for row, seed in zip(rows, seeds, strict=True)
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(ask, range(200)))


def test_a_capture_goes_well_while_another_thread_allocates_and_copies() -> None:
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            torch.randn(1 << 20).to(CUDA).mul(2).cpu()

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        graphs = engine()
        graphs.prepare((128, 160), [1, 2, 4, 8])
    finally:
        stop.set()
        thread.join()
    assert graphs.failure is None
    assert len(graphs.buckets) == 4


def test_the_memory_of_dropped_graphs_and_of_a_dropped_engine_comes_back() -> None:
    release_memory()
    before = torch.cuda.memory_reserved(CUDA)
    graphs = engine()
    graphs.prepare((256, 256), [1, 2, 4, 8, 16])
    graphs.masks([image(1, 256, 256)] * 4)
    assert graphs.num_extra_bytes > 0
    held = torch.cuda.memory_reserved(CUDA)
    with graphs.capturing():
        pass  # drops all graphs at its end
    release_memory()
    assert torch.cuda.memory_reserved(CUDA) < held
    del graphs
    gc.collect()
    release_memory()
    assert torch.cuda.memory_reserved(CUDA) <= before + (8 << 20)


def test_auto_takes_graphs_and_the_predictor_answers_as_on_the_cpu(tmp_path: Path) -> None:
    bundle = tiny.bundle(tmp_path / "tiny")
    manifest = read_manifest(bundle)
    found = open_engine(bundle, manifest, device="cuda")
    assert found.choice is not None
    assert found.name == "cuda-graphs", found.choice.reason
    labels = LabelSet.generic(tiny.CLASSES)
    on_gpu = Predictor(found, labels, manifest.preprocessing)
    on_cpu = Predictor.from_bundle(bundle, device="cpu")
    for _ in range(3):
        pairs = zip(
            on_gpu.segment_batch([image(1), image(2)]),
            on_cpu.segment_batch([image(1), image(2)]),
            strict=True,
        )
        for one, other in pairs:
            assert (one.label_map == other.label_map).mean() > 0.95
