"""The lines of docs/training.md that make masks from tables of run lengths."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskzoo.training.data.opening import accept, inspect

PAGE = Path(__file__).parents[3] / "docs" / "training.md"


def runs_of(mask: np.ndarray) -> str:
    """Return Kaggle's run lengths by a second formula: each pixel down the columns by itself."""
    numbers = [place + 1 for place, value in enumerate(mask.T.ravel()) if value]
    starts = [n for n in numbers if n - 1 not in numbers]
    return " ".join(
        f"{s} {next(n for n in range(s, 9999) if n not in numbers) - s}" for s in starts
    )


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("ImageId_ClassId,EncodedPixels", "{name}.jpg_{label},{runs}"),
        ("ImageId,ClassId,EncodedPixels", "{name}.jpg,{label},{runs}"),
        ("id,class,rle", "{name},{label},{runs}"),
    ],
)
def test_run_lengths_become_masks(tmp_path, write_image, photo, header, row):
    masks = {}
    lines = [header]
    for number in range(6):
        write_image(tmp_path / "images" / f"img{number}.jpg", photo(number))
        mask = np.zeros((24, 32), np.uint8)
        mask[2:9, 3 : 8 + number], mask[12:20, 20:30] = 1, 2
        masks[f"img{number}"] = mask
        for label in (1, 2, 3):
            runs = runs_of(mask == label)
            lines.append(row.format(name=f"img{number}", label=label, runs=runs))
    (tmp_path / "train.csv").write_text("\n".join(lines))
    (code,) = re.findall(r"^```python\n(import csv.*?)^```", PAGE.read_text(), re.M | re.S)
    arguments = [str(tmp_path / name) for name in ("train.csv", "images", "masks")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)
    (tmp_path / "train.csv").unlink()
    data = accept(inspect(tmp_path))
    for sample in data.all_samples:
        assert np.array_equal(data.read(sample)[1], masks[sample.stem])


def test_one_class_without_a_number_is_one(tmp_path, write_image, photo):
    mask = np.zeros((24, 32), np.uint8)
    mask[2:9, 3:8] = 1
    write_image(tmp_path / "images" / "a_1.png", photo(0))
    (tmp_path / "t.csv").write_text(f"ImageId,EncodedPixels\na_1.png,{runs_of(mask)}\n")
    (code,) = re.findall(r"^```python\n(import csv.*?)^```", PAGE.read_text(), re.M | re.S)
    arguments = [str(tmp_path / name) for name in ("t.csv", "images", "masks")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, timeout=120)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "masks" / "a_1.png")), mask)
