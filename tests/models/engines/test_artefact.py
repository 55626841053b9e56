"""Exported engines on disk: whole or not there, and of the weights that they are for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.artefact import (
    ArtefactRecord,
    cache_folder,
    find_artefacts,
    store_artefact,
)
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.errors import BundleError, ExportError
from tests.models import tiny


def made_before(exported: Path) -> Callable[[Path], ArtefactRecord]:
    """Make an artefact in no time: the same weights have been exported already."""

    def make(folder: Path) -> ArtefactRecord:
        (artefact,) = find_artefacts(exported, read_manifest(exported), "openvino")
        for name in artefact.record.files:
            shutil.copy(artefact.folder / name, folder)
        return artefact.record

    return make


def test_a_damaged_file_is_noticed_and_the_next_engine_taken(
    copied: Path, caplog: pytest.LogCaptureFixture
) -> None:
    weights = copied / "engines" / "openvino-fp32" / "model.bin"
    weights.write_bytes(weights.read_bytes()[:-4])
    assert open_engine(copied, read_manifest(copied), device="cpu").name == "onnxruntime"
    assert "model.bin: missing or changed" in caplog.text
    with pytest.raises(BundleError, match=r"model\.bin"):
        open_engine(copied, read_manifest(copied), engine="openvino")


def test_an_export_of_other_weights_does_not_count(copied: Path, tmp_path: Path) -> None:
    other = tiny.bundle(tmp_path / "other", seed=1)
    (copied / "engines").rename(other / "engines")
    manifest = read_manifest(other)
    assert list(find_artefacts(other, manifest, "openvino")) == []
    assert open_engine(other, manifest, device="cpu").name == "torch"


def test_a_bundle_that_cannot_be_written_is_exported_into_the_cache(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tiny.bundle(tmp_path / "tiny")
    (bundle / "engines").write_text("a file in the way, as good as a read-only folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    manifest = read_manifest(bundle)
    made = store_artefact(bundle, "openvino-fp32", manifest.weights_sha256, made_before(exported))
    assert made.folder.parent == cache_folder(manifest.weights_sha256)
    assert tmp_path / "cache" in made.folder.parents
    assert open_engine(bundle, manifest, device="cpu").name == "openvino"


def test_an_export_that_fails_leaves_nothing_behind(exported: Path, tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "model.xml").write_text("half")
        raise ExportError("no")

    bundle = tmp_path / "tiny"
    (bundle / "engines").mkdir(parents=True)
    with pytest.raises(ExportError):
        store_artefact(bundle, "openvino-fp32", "0" * 64, fail)  # type: ignore[arg-type]
    assert list((bundle / "engines").iterdir()) == []


def test_a_second_export_takes_the_place_of_the_first(exported: Path, copied: Path) -> None:
    folder = copied / "engines" / "openvino-fp32"
    (folder / "stale").write_text("of the first")
    weights = read_manifest(copied).weights_sha256
    store_artefact(copied, "openvino-fp32", weights, made_before(exported))
    assert not (folder / "stale").exists()
    assert {path.name for path in (copied / "engines").iterdir()} == {
        "openvino-fp32",
        "onnxruntime-fp32",
    }
    assert open_engine(copied, read_manifest(copied), engine="openvino").name == "openvino"
