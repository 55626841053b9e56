"""A tiny bundle, exported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from maskzoo.models.export.engines import export_engine
from tests.models import tiny


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was exported for both engines; tests leave it as it is."""
    for name in ("openvino", "onnxscript"):
        pytest.importorskip(name)
    bundle = tiny.bundle(tmp_path_factory.mktemp("exported") / "tiny")
    export_engine(bundle, "openvino")
    export_engine(bundle, "onnxruntime")
    return bundle


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(exported, tmp_path / "tiny"))
