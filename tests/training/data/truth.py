"""A small data set with a known truth, to be stored in any layout and in any encoding.

Three classes in patches; what is read back must be that truth up to the numbers of the classes.
Twelve images, so that nothing but the storage can be wrong.
"""

from __future__ import annotations

import re

import cv2
import numpy as np
from PIL import Image

from maskzoo.training.data.opening import accept, inspect

NUMBER = 12


CLASS_COLOURS = np.array([(10, 10, 200), (200, 10, 10), (10, 200, 10)], np.uint8)


def truth(number):
    """Return a mask of three classes: a ground, a rectangle and a disc."""
    rng = np.random.default_rng(number)
    mask = np.zeros((48, 64), np.uint8)
    top, left = (int(value) for value in rng.integers(2, 12, 2))
    mask[top : top + 20, left : left + 24] = 1
    cv2.circle(mask, (int(rng.integers(44, 50)), int(rng.integers(24, 34))), 10, 2, -1)
    return mask


def photo_of(number):
    rng = np.random.default_rng(1000 + number)
    return cv2.resize(rng.integers(0, 255, (12, 16, 3), np.uint8), (64, 48))


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **options)


def split_of(number):
    return "train" if number < 8 else "val"


def write_pairs(root, image, mask, write):
    """Write all samples by patterns with {n} and {split}; `write` stores one mask."""
    for number in range(NUMBER):
        words = {"n": f"{number:03}", "split": split_of(number)}
        save(root / image.format(**words), photo_of(number))
        path = root / mask.format(**words)
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, truth(number), number)


def assert_truth(root, *, ignore_ground=False):
    """Read the data set as training does and compare each mask, up to the classes' numbers."""
    report = inspect(root)
    assert [problem.text(root) for problem in report.problems if problem.severity == "error"] == []
    data = accept(report)
    assert len(data.all_samples) == NUMBER
    seen = {}
    for sample in data.all_samples:
        number = int(re.findall(r"\d{3}", sample.image.name)[0])
        image, labels = data.read(sample)
        assert image.shape == (48, 64, 3)
        for ours, theirs in zip(labels.ravel(), truth(number).ravel(), strict=True):
            assert seen.setdefault(int(theirs), int(ours)) == ours, (sample.mask, ours, theirs)
    assert len(set(seen.values())) == 3
    assert data.labels.num_classes >= (2 if ignore_ground else 3)
    return report


def save_ids(path, mask, number):
    save(path, mask)


def outlines(number):
    """Return the truth's shapes as (class, points), largest first."""
    mask = truth(number)
    found = []
    for label in (1, 2):
        outline, _ = cv2.findContours(
            (mask == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        found += [(label, part.reshape(-1, 2)) for part in outline]
    return found


def strips(number):
    """Return the truth's shapes as (class, polygons), which cover whole pixels: one a row."""
    mask = truth(number)
    found = []
    for label in (1, 2):
        rings = []
        for y, row in enumerate(mask == label):
            if row.any():
                left, right = int(row.argmax()), int(len(row) - row[::-1].argmax())
                rings.append(np.array([(left, y), (right, y), (right, y + 1), (left, y + 1)]))
        found.append((label, rings))
    return found


def large(mask):
    """Return a mask at eight times its size: noise shows by its many values."""
    return cv2.resize(mask, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)
