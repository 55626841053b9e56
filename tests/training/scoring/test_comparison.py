"""The Pareto front by hand, and the table and the plot of a comparison."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from maskzoo.training.scoring.comparison import (
    ComparedModel,
    Comparison,
    MeasuredOn,
    ranked_models,
)

TEST = MeasuredOn("f", "test")


def model(name: str, mean_iou: float | None, latency_ms: float) -> ComparedModel:
    return ComparedModel(
        name=name,
        source=name,
        architecture="unet",
        encoder="resnet18",
        plugins=("eca@encoder.*",) if name == "slow" else (),
        parameters=1_234_567,
        mean_iou=mean_iou,
        boundary_iou=None,
        interval=(0.7, 0.9) if name == "slow" else None,
        data=TEST,
        latency_ms=latency_ms,
    )


def test_the_front_is_sorted_out_of_hand_made_models() -> None:
    models = [
        model("unmeasured", None, 1),
        model("quick", 0.5, 10),
        model("as good but slower", 0.5, 11),
        model("as quick but worse", 0.4, 10),
        model("slow", 0.8, 30),
        model("between", 0.6, 20),
    ]
    ranked = ranked_models(models)
    assert [one.name for one in ranked] == [
        "slow",
        "between",
        "quick",
        "as good but slower",
        "as quick but worse",
        "unmeasured",
    ]
    assert [one.name for one in ranked if one.is_front] == ["slow", "between", "quick"]


def test_equal_models_do_not_beat_each_other() -> None:
    one, other = ranked_models([model("a", 0.5, 10), model("b", 0.5, 10)])
    assert one.is_front
    assert other.is_front
    assert not one.beats(other)


@pytest.fixture
def comparison() -> Comparison:
    """Two models on one split."""
    models = ranked_models([model("quick", 0.5, 10), model("slow", 0.8, 30)])
    return Comparison(models, size=(32, 48), repeats=2)


def test_the_table_shows_scores_in_percent_and_its_notes(comparison: Comparison) -> None:
    table = comparison.table()
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in table.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["*", "slow", "unet", "resnet18", "eca@encoder.*", "1.23", "80.00", "70.0-90.0", "-",
         "30.0"],
        ["*", "quick", "unet", "resnet18", "-", "1.23", "50.00", "-", "-", "10.0"],
    ]  # fmt: skip
    assert table.endswith("latency: median of 2 images of 48 x 32, on this machine\n")


def test_notes_say_what_does_not_compare(comparison: Comparison) -> None:
    slow, quick = comparison.models
    assert len(comparison.notes) == 1
    other = replace(quick, data=MeasuredOn("f", "val"))
    (_, note) = replace(comparison, models=(slow, other)).notes
    assert "different data or splits and do not compare" in note
    # a model without a score has no data either, and hides nothing about the others
    empty = replace(quick, mean_iou=None, data=MeasuredOn("", ""))
    (_, note) = replace(comparison, models=(slow, empty)).notes
    assert note == "without a score: quick; run maskzoo evaluate --save"


def test_the_plot_is_an_image_or_a_drawing_by_its_suffix(
    comparison: Comparison, tmp_path: Path
) -> None:
    with Image.open(comparison.plot(tmp_path / "deep" / "front.png")) as plot:
        assert plot.size == (1040, 650)
    assert "<svg" in comparison.plot(tmp_path / "front.svg").read_text()


def test_the_document_has_the_models_in_their_order(comparison: Comparison) -> None:
    document = comparison.to_json()
    assert [one["name"] for one in document["models"]] == ["slow", "quick"]
    assert document["models"][0]["data"] == {"fingerprint": "f", "split": "test"}
    assert document["size"] == [32, 48]
