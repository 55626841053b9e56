from __future__ import annotations

import numpy as np
from PIL import Image


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
