"""Exported engines give torch's answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from maskzoo import PredictOptions, Predictor
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.artefact import find_artefacts
from maskzoo.models.engines.choose import open_engine, open_model


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(
    "shape", [(1, 3, 64, 64), (2, 3, 97, 130), (1, 3, 33, 201), (3, 3, 32, 32)]
)
def test_an_exported_engine_gives_torch_s_logits_at_any_size(
    exported: Path, name: str, shape: tuple[int, ...]
) -> None:
    manifest = read_manifest(exported)
    torch.manual_seed(1)
    batch = torch.randn(shape)
    wanted = open_engine(exported, manifest, engine="torch").run(batch)
    given = open_engine(exported, manifest, engine=name).run(batch)
    assert given.dtype == torch.float32
    torch.testing.assert_close(given, wanted, atol=1e-4, rtol=1e-4)


def test_an_answer_outlives_the_next_run(exported: Path) -> None:
    engine = open_engine(exported, read_manifest(exported), engine="openvino")
    first = engine.run(torch.zeros(1, 3, 64, 64))
    before = first.clone()
    engine.run(torch.ones(1, 3, 64, 64))
    assert torch.equal(first, before)


def test_runs_in_many_threads_do_not_mix(exported: Path) -> None:
    engine = open_engine(exported, read_manifest(exported), engine="openvino")
    batches = [torch.full((1, 3, 64, 64 + 16 * (index % 3)), index / 8) for index in range(16)]
    alone = [engine.run(batch) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(engine.run, batches))
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))


def test_the_predictor_takes_an_exported_engine_and_segments_alike(
    exported: Path,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (90, 75, 3), np.uint8)
    fast = Predictor.from_bundle(exported, device="cpu")
    plain = Predictor.from_bundle(exported, engine="torch", device="cpu")
    assert fast.engine.name in {"openvino", "onnxruntime"}
    assert plain.engine.name == "torch"
    same = fast.segment(image).label_map == plain.segment(image).label_map
    assert same.mean() >= 0.999


def test_scaled_views_are_resized_as_values_and_not_as_bytes(exported: Path) -> None:
    manifest = read_manifest(exported)
    (artefact,) = find_artefacts(exported, manifest, "openvino")
    openvino = open_model("openvino", artefact.model, manifest, exact=True)
    image = np.random.default_rng(0).integers(0, 256, (90, 75, 3), np.uint8)
    logits = [
        Predictor(engine, manifest.labels, manifest.preprocessing).logits(
            [image], PredictOptions(tta="multiscale")
        )[0]
        for engine in (openvino, open_engine(exported, manifest, engine="torch", device="cpu"))
    ]
    np.testing.assert_allclose(*logits, atol=1e-3)
