"""The export of a bundle: stored where the engine agrees with torch, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.artefact import find_artefacts
from maskzoo.models.engines.base import Engine
from maskzoo.models.engines.check import CheckImages
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.errors import ExportError
from maskzoo.models.export.engines import export_engine
from tests.models import tiny


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny bundle, whose export writes a placeholder that torch runs."""
    folder = tiny.bundle(tmp_path / "tiny")

    def write(network: object, path: Path, precision: str) -> None:
        path.write_text("a placeholder")

    def load(*_: object, **__: object) -> Engine:
        return open_engine(folder, read_manifest(folder), engine="torch", device="cpu")

    monkeypatch.setattr("maskzoo.models.export.engines._write_openvino", write)
    monkeypatch.setattr("maskzoo.models.export.engines.open_model", load)
    return folder


def test_an_export_that_agrees_less_than_is_needed_is_not_stored(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckImages, "agreement", lambda *_: 0.9985)
    with pytest.raises(ExportError, match=r"torch's class for 99\.850% .*; at least 99\.9% are"):
        export_engine(bundle, "openvino")
    assert list((bundle / "engines").iterdir()) == []


def test_an_export_that_agrees_enough_is_stored_with_its_agreement(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CheckImages, "agreement", lambda *_: 0.9995)
    assert export_engine(bundle, "openvino").record.agreement == 0.9995
    (stored,) = find_artefacts(bundle, read_manifest(bundle), "openvino")
    assert stored.record.agreement == 0.9995
    stored.verify()


def test_a_precision_that_the_engine_has_not_is_refused(bundle: Path) -> None:
    with pytest.raises(ExportError, match="onnxruntime can be exported in fp32, not in fp16"):
        export_engine(bundle, "onnxruntime", precision="fp16")
