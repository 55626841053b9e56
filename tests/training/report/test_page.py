"""report.html: one file that asks for nothing, says what the run says, and can be made again."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from maskzoo.models.labels import LabelSet
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.planning.decision import Decision
from maskzoo.training.report.page import ReportCollector, write_report
from maskzoo.training.run.fit import TrainResult, train
from maskzoo.training.scoring.bundle import evaluate_bundle

VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that tags close in order; collects text, and addresses that a browser would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.loads += [values[name] for name in ("src", "srcset", "data") if name in values]
        self.ids += [values["id"]] if "id" in values else []
        if tag == "a":
            self.links.append(values["href"])
        elif "href" in values:
            self.loads.append(values["href"])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def result(
    discs: Path, tiny: Callable[..., TrainConfig], tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """A run of a few steps, whose description tries to be HTML."""
    config = tiny("bundle.description=<script>alert(1)</script>")
    return train(discs, config, run_dir=tmp_path_factory.mktemp("runs") / "one")


def read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


def test_a_run_ends_with_a_page_that_loads_nothing(result: TrainResult) -> None:
    path = result.run_dir / "report.html"
    page, source = read(path), path.read_text(encoding="utf-8")
    assert all(address.startswith("data:image/jpeg;base64,") for address in page.loads)
    assert len(page.loads) >= 3  # best and worst of three images
    assert not re.search(r"url\(|@import|<script|<iframe|<link", source)
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_the_page_says_what_the_evaluation_says(result: TrainResult, discs: Path) -> None:
    page = read(result.run_dir / "report.html")
    measured = evaluate_bundle(result.bundle, discs, split="test", device="cpu")
    scores = measured.scores
    assert f"{100 * (scores.mean_iou or 0):.1f} %" in page.text
    for row, iou in zip(scores.per_class, measured.boundary.ious(), strict=True):
        for value in (row.iou, row.dice, row.precision, row.recall, iou):
            assert (f"{100 * value:.1f}" if value is not None else "none") in page.text
    assert measured.fingerprint in page.text
    config = (result.run_dir / "config.yaml").read_text()
    assert config.strip() in page.text
    for decision in json.loads((result.run_dir / "plan.json").read_text()):
        assert decision["key"] in page.text
        assert Decision(**decision).shown in page.text
        assert decision["why"] in page.text
    kept = json.loads((result.run_dir / "evaluation.json").read_text())
    np.testing.assert_array_equal(kept["confusion"], measured.matrix)
    assert kept["expected_calibration_error"] == measured.calibration.error()


def test_a_foreground_has_its_scores_at_the_top_of_the_page(
    result: TrainResult, discs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(result.run_dir, folder)
    measured = evaluate_bundle(result.bundle, discs, split="test", device="cpu")
    collected = ReportCollector(LabelSet.from_names(["ground", "disc"]))
    pages = []
    for foreground in (None, 1):
        path = write_report(folder, replace(measured, foreground=foreground), collected)
        pages.append(read(path).text)
    disc = measured.scores.per_class[1]
    assert "foreground IoU" not in pages[0]
    assert f"foreground IoU{100 * (disc.iou or 0):.1f} %" in pages[1]
    assert f"disc; Dice {100 * (disc.dice or 0):.1f} %" in pages[1]
