"""int8: calibrated on training images, scored beside torch, refused if it lost too much."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from maskzoo import Predictor
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.artefact import find_artefacts
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.errors import DataError, ExportError
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.loggers.display import Display
from maskzoo.training.run.fit import train
from maskzoo.training.scoring.evaluate import count_pixels
from maskzoo.training.scoring.quantize import export_int8
from maskzoo.training.scoring.sparing import SparingPredictor

pytest.importorskip("nncf")
pytest.importorskip("openvino")


@pytest.fixture(scope="module")
def trained(
    make_data: Callable[..., Path],
    tiny: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """A bundle that tells discs from ground, and its data."""
    data = make_data()
    run_dir = tmp_path_factory.mktemp("int8") / "run"
    result = train(
        data, tiny("max_steps=30"), run_dir=run_dir, display=Display(Console(file=io.StringIO()))
    )
    return result.bundle, data


@pytest.mark.slow
def test_int8_is_stored_with_both_scores_and_runs_where_it_is_asked_for(
    trained: tuple[Path, Path],
) -> None:
    bundle, data = trained
    said: list[str] = []
    artefact = export_int8(bundle, data, max_drop=100, say=said.append)
    score = artefact.record.score
    assert score is not None
    assert (score.split, score.images) == ("val", 3)
    opened = open_dataset(data)
    for engine, stored in (("torch", score.mean_iou_torch), ("openvino-int8", score.mean_iou)):
        predictor = Predictor.from_bundle(bundle, engine=engine, device="cpu")
        matrix = count_pixels(SparingPredictor(predictor), opened, opened.samples("val"))
        assert matrix.scores(opened.labels.names).mean_iou == pytest.approx(stored)
    assert open_engine(bundle, read_manifest(bundle), device="cpu").name == "torch"
    assert "calibrating on 10 images" in said

    with pytest.raises(ExportError, match=r"more than -1.*--max-drop"):
        export_int8(bundle, data, max_drop=-1000)
    (kept,) = find_artefacts(bundle, read_manifest(bundle), "openvino")
    assert kept.record == artefact.record


def test_data_with_other_classes_is_refused_before_any_work(
    trained: tuple[Path, Path], make_data: Callable[..., Path]
) -> None:
    bundle, _ = trained
    other = make_data()
    described = other / "dataset.yaml"
    described.write_text(described.read_text().replace("disc", "square"))
    with pytest.raises(DataError, match="names and order must agree"):
        export_int8(bundle, other)
