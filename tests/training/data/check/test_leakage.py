from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from maskzoo.training.data.check.leakage import check_near_duplicates
from maskzoo.training.data.records.facts import ImageFacts, PairFacts
from maskzoo.training.data.records.samples import Sample


def test_the_same_image_in_two_splits_is_an_error(make_folder, good, problems):
    root = make_folder(good)
    copy = root / "images" / "test" / "9.png"
    copy.write_bytes((root / "images" / "train" / "2.png").read_bytes())
    problem = problems(root)["leakage"]
    assert problem.severity == "error"
    assert problem.stems == ("2",)  # train gives way, the test split stays as it is


def test_duplicates_in_a_split_are_a_warning(make_folder, good, problems):
    root = make_folder(good)
    copy = root / "images" / "train" / "1.png"
    copy.write_bytes((root / "images" / "train" / "2.png").read_bytes())
    assert problems(root)["duplicates"].severity == "warning"


def test_a_recoded_copy_is_a_near_duplicate(make_folder, good, write_image, problems):
    root = make_folder(good)
    (root / "images" / "test" / "9.png").unlink()
    pixels = np.asarray(Image.open(root / "images" / "train" / "2.png"))
    brighter = np.clip(pixels * 0.9 + 12, 0, 255).astype(np.uint8)
    write_image(root / "images" / "test" / "9.jpg", brighter, quality=80)
    problem = problems(root)["near-duplicates"]
    assert len(problem.items) == 1
    assert "train/2.png" in problem.items[0].detail


def thumbnail(correlation: float) -> bytes:
    """Return 16 x 16 grey levels that have this correlation with those of correlation 1.

    Two waves of whole periods are orthogonal and of mean 0, so their mix has it exactly.
    """
    angle = 2 * np.pi * np.arange(256) / 256
    mixed = correlation * np.sin(angle) + np.sqrt(1 - correlation**2) * np.cos(angle)
    return np.round(127.5 + 120 * mixed).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    ("stems", "correlation", "is_reported"),
    [
        (("market", "harbour"), 0.98, True),
        (("market", "harbour"), 0.97, False),
        (("market", "harbour"), 0.92, False),
        (("frame_001", "frame_007"), 0.92, True),
        (("frame_001", "frame_007"), 0.88, False),
        (("frame_001", "frame_007"), -0.99, False),
    ],
)
def test_images_that_correlate_are_near_duplicates_and_frames_of_a_series_sooner(
    stems, correlation, is_reported
):
    rows = []
    for stem, split, likeness in zip(stems, ("train", "test"), (1.0, correlation), strict=True):
        facts = ImageFacts((64, 64), 1, "RGB", stem, thumbnail(likeness))
        sample = Sample(stem, Path(f"{stem}.jpg"), Path(f"{stem}.png"), split)
        rows.append((sample, PairFacts(facts, None)))
    reported = check_near_duplicates(SimpleNamespace(rows=rows))
    assert len(reported) == is_reported
    if is_reported:
        assert f"(correlation {correlation:.3f})"[:18] in reported[0].items[0].detail
