"""The compiled network: torch's answers, or it is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.engines.compiled import CompiledEngine
from maskzoo.models.errors import EngineError


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="TorchInductor needs a C++ compiler")
def test_a_compiled_network_gives_torch_s_logits_at_any_size(exported: Path) -> None:
    manifest = read_manifest(exported)
    compiled = open_engine(exported, manifest, engine="torch-compile", device="cpu")
    assert compiled.name == "torch-compile"
    plain = open_engine(exported, manifest, engine="torch", device="cpu")
    torch.manual_seed(1)
    tolerance = 1e-4 if compiled.dtype is None else 5e-2  # type: ignore[attr-defined]
    for shape in ((1, 3, 64, 64), (2, 3, 97, 130)):
        batch = torch.randn(shape)
        first = compiled.run(batch)
        before = first.clone()
        torch.testing.assert_close(first, plain.run(batch), atol=tolerance, rtol=tolerance)
        compiled.run(torch.zeros(shape))
        assert torch.equal(first, before)


def test_a_compiled_network_that_disagrees_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(engine: CompiledEngine, batch: torch.Tensor) -> torch.Tensor:
        return -engine.network.forward_coarse(batch).detach()

    monkeypatch.setattr(CompiledEngine, "run", wrong)
    with pytest.raises(EngineError, match=r"compiled, gives torch's class for .* of the check"):
        open_engine(exported, read_manifest(exported), engine="torch-compile", device="cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_compiled_network_agrees_on_a_gpu_and_its_answers_last(exported: Path) -> None:
    engine = open_engine(exported, read_manifest(exported), engine="torch-compile", device="cuda")
    first = engine.run(torch.zeros(1, 3, 64, 64))
    before = first.clone()
    engine.run(torch.ones(1, 3, 64, 64))
    assert torch.equal(first, before)
