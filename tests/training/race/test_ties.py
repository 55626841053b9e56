"""Ties by the images of the validation, and candidates that answer one class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskzoo.training.race.candidate import Candidate, Combination
from maskzoo.training.race.ties import Scoresheet, lone_class
from maskzoo.training.run.loop import VALIDATION
from maskzoo.training.scoring.bootstrap import ImageCounts

UNET = Combination("unet", "resnet18")


def answers(*right: float) -> ImageCounts:
    """Return counts of images of 100 pixels a class, of which so many of the first are right."""
    rows = [np.array([[round(100 * r), round(100 * (1 - r))], [0, 100]]) for r in right]
    return ImageCounts.of(rows)


def keep(sheet: Scoresheet, number: int, folder: Path, counts: ImageCounts) -> Candidate:
    counts.save(folder / VALIDATION)
    kept = sheet.keep(number, 0, folder)
    return Candidate(number, UNET, scores=(kept.mean_iou,))


def test_better_on_every_image_is_no_tie_and_better_on_some_is_one(tmp_path: Path) -> None:
    sheet = Scoresheet(tmp_path / "sheet")
    best = keep(sheet, 0, tmp_path, answers(0.9, 0.8, 0.95, 0.7, 0.9))
    worse = keep(sheet, 1, tmp_path, answers(0.7, 0.6, 0.75, 0.5, 0.7))
    mixed = keep(sheet, 2, tmp_path, answers(0.95, 0.6, 0.99, 0.5, 0.95))
    assert best.scores > mixed.scores > worse.scores
    behind = sheet.gap(best, worse)
    assert behind is not None
    assert behind[0] > 0.05
    tied = sheet.gap(best, mixed)
    assert tied is not None
    assert tied[0] < 0 < tied[1]


def test_one_image_gives_no_interval(tmp_path: Path) -> None:
    sheet = Scoresheet(tmp_path / "sheet")
    one = keep(sheet, 0, tmp_path, answers(0.9))
    assert sheet.gap(one, keep(sheet, 1, tmp_path, answers(0.5))) is None


def test_a_network_that_answers_one_class_is_named_by_it() -> None:
    all_ground = ImageCounts.of([np.array([[5, 0], [3, 0]]), np.array([[8, 0], [0, 0]])])
    assert lone_class(all_ground, ("ground", "disc")) == "ground"
    assert lone_class(answers(0.5), ("ground", "disc")) is None
