from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from maskzoo.training.data.check import leakage
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


def test_a_frame_is_compared_with_those_that_stand_beside_it_in_its_series():
    """What is compared grows with the number of images, not with its square."""
    random = np.random.default_rng(0)
    frames = random.normal(size=(200, 256)).astype(np.float32)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    series = leakage._Series([f"frame_{number}" for number in range(200)], frames)
    query = 0.95 * frames[70] + np.sqrt(1 - 0.95**2) * frames[5]
    query /= np.linalg.norm(query)
    best = series.most_alike("frame_75", query)
    assert best is not None
    assert best == (70, pytest.approx(float(query @ frames[70]), abs=1e-6))
    assert series.most_alike("frame_130", query) is None
    assert series.most_alike("scene_75", query) is None


def blurred(random: np.random.Generator, count: int) -> np.ndarray:
    """Return smooth random scenes of 64 x 64 grey levels, unlike each other."""
    coarse = random.uniform(0, 255, (count, 8, 8)).astype(np.float32)
    return np.stack([cv2.resize(one, (64, 64), interpolation=cv2.INTER_CUBIC) for one in coarse])


def fundus(random: np.random.Generator, count: int) -> np.ndarray:
    """Return photographs of different eyes: a disc with a brighter spot, nearly at one place."""
    rows, columns = np.mgrid[:64, :64]
    images = []
    for _ in range(count):
        x, y, radius = random.normal(32, 0.6), random.normal(32, 0.6), random.normal(28, 0.7)
        image = np.where((columns - x) ** 2 + (rows - y) ** 2 < radius**2, 110.0, 5.0)
        x, y, radius = random.normal(46, 2), random.normal(32, 2), random.normal(4, 0.5)
        image += 90 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * radius**2))
        x, y = random.normal(28, 2, 2)
        image -= 40 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 40)
        image += random.normal(0, 6) * (columns - 32) / 32 + random.normal(0, 6) * (rows - 32) / 32
        images.append(image)
    return np.stack(images)


def films(random: np.random.Generator, scenes: int, frames: int) -> np.ndarray:
    """Return the frames of films, in each of which a ball moves before a scene."""
    rows, columns = np.mgrid[:64, :64]
    images = []
    for scene in blurred(random, scenes):
        place, speed = random.uniform(15, 50, 2), random.normal(0, 0.7, 2)
        for _ in range(frames):
            place = place + speed
            ball = (columns - place[0]) ** 2 + (rows - place[1]) ** 2 < 36
            images.append(np.where(ball, 250, scene) + random.normal(0, 3, scene.shape))
    return np.stack(images)


def reported(images: np.ndarray, in_train: np.ndarray, name: str = "{n:03}") -> float:
    """Return the fraction of the images outside train that are reported."""
    rows = []
    for number, (image, is_train) in enumerate(zip(images, in_train, strict=True)):
        stem = name.format(n=number)
        grey = cv2.resize(
            image.clip(0, 255).astype(np.uint8), (16, 16), interpolation=cv2.INTER_AREA
        )
        facts = ImageFacts((64, 64), 1, "RGB", stem, grey.tobytes())
        split = "train" if is_train else "val"
        rows.append(
            (Sample(stem, Path(f"{stem}.jpg"), Path(f"{stem}.png"), split), PairFacts(facts, None))
        )
    found = check_near_duplicates(SimpleNamespace(rows=rows))
    return len(found[0].items) / int((~in_train).sum()) if found else 0.0


@pytest.mark.parametrize("count", [20, 60, 300])
def test_images_of_one_subject_are_all_alike_and_innocent(count):
    random = np.random.default_rng(count)
    images = fundus(random, count)
    in_train = np.arange(count) % 5 > 0
    plain = [
        (image - image.mean()).ravel() / np.linalg.norm(image - image.mean()) for image in images
    ]
    likeness = np.stack(plain) @ np.stack(plain).T - 2 * np.eye(count)
    assert np.median(likeness.max(axis=1)) > 0.9  # the limit for images of one series
    assert reported(images, in_train) <= 0.05


@pytest.mark.parametrize(
    ("scenes", "frames", "least"),
    [(12, 12, 0.9), (4, 30, 0.9), (40, 5, 0.9), (2, 60, 0.9), (1, 80, 0.5)],
)
def test_a_film_whose_frames_were_drawn_at_random_is_guilty(scenes, frames, least):
    random = np.random.default_rng(scenes)
    images = films(random, scenes, frames)
    in_train = random.permutation(len(images)) % 5 > 0
    assert reported(images, in_train) > least


def test_films_that_are_each_in_one_split_are_innocent():
    images = films(np.random.default_rng(0), 15, 8)
    in_train = np.arange(len(images)) < 12 * 8
    assert reported(images, in_train, name="frame_{n:03}") == 0


def test_a_copy_among_images_that_are_all_alike_is_guilty():
    random = np.random.default_rng(0)
    images = fundus(random, 60)
    in_train = np.arange(60) % 5 > 0
    images[5] = 0.9 * images[6] + 9 + random.normal(0, 2, (64, 64))  # brighter, and coded again
    assert reported(images, in_train) == pytest.approx(1 / 12)
