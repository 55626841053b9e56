from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.stored.maskfile import read_raw_mask
from maskzoo.training.data.opening import inspect, open_dataset
from maskzoo.training.data.scan.painted import painted_fraction


def test_what_a_painted_photo_leaves_of_the_image_is_measured(tmp_path, write_image):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8)
    painted = pixels.copy()
    painted[:, :20] = (0, 0, 255)
    painted[:, 20:35] = 255 - pixels[:, 20:35]
    mask = read_raw_mask(write_image(tmp_path / "m.png", painted))
    assert painted_fraction(mask, pixels) == pytest.approx(0.5, abs=0.03)  # blue does not count
    assert painted_fraction(mask, 255 - pixels) == pytest.approx(0.5, abs=0.03)
    assert painted_fraction(mask, pixels[::-1]) < 0.01


def test_noise_beside_a_dark_image_is_not_a_painted_photo(tmp_path, write_image):
    random = np.random.default_rng(0)
    noise = random.integers(0, 9, (40, 50), np.uint8)
    mask = np.where(np.arange(50) < 10, 255 - noise, noise).astype(np.uint8)
    raw = read_raw_mask(write_image(tmp_path / "m.png", mask))
    dark = np.repeat(noise[..., None], 3, axis=-1)
    assert painted_fraction(raw, dark) == 0


def test_what_is_cut_out_of_a_photo_is_refused_and_its_alpha_is_a_mask(images, write_image, photo):
    mask = np.zeros((24, 32), np.uint8)
    mask[4:12, 4:16] = 255
    for number in range(6):
        (images / "images" / f"{number}.jpg").unlink()
        write_image(images / "images" / f"{number}.png", photo(number))
        cut = np.dstack([photo(number), mask])
        write_image(images / "masks" / f"{number}.png", cut)
    with pytest.raises(
        DataError, match=r"6 of 6 masks are cut out of their photos: 1\d\d %.*alpha"
    ):
        inspect(images)
    for file in (images / "masks").iterdir():
        Image.open(file).getchannel("A").save(file)
    report = inspect(images)
    assert report.findings.interpretation.storage == "0/255"
    assert report.num_errors == 0


def test_the_cure_for_painted_photos_works_when_it_is_followed(images, write_image):
    random = np.random.default_rng(0)
    mask = np.zeros((24, 32), np.uint8)
    for number in range(6):
        (images / "images" / f"{number}.jpg").unlink()
        grey = random.integers(30, 220, (24, 32, 1), np.uint8)
        pixels = np.repeat(grey, 3, axis=-1)
        write_image(images / "images" / f"{number}.png", pixels)
        painted = pixels.copy()
        painted[4:12, 4 : 10 + number] = (255, 0, 0)
        painted[14:20, 4:24] = (0, 0, 255)
        write_image(images / "masks" / f"{number}.png", painted)
    with pytest.raises(DataError, match="nearest: true"):
        inspect(images)
    greys = ", ".join(f'"#{level:02X}{level:02X}{level:02X}"' for level in range(16, 256, 32))
    (images / "dataset.yaml").write_text(
        "encoding: colours\nnearest: true\nclasses:\n"
        '  - {name: car, values: ["#FF0000"]}\n  - {name: road, values: ["#0000FF"]}\n'
        f"  - {{name: background, values: [{greys}]}}\n"
    )
    data = open_dataset(images)
    sample = next(sample for sample in data.all_samples if sample.stem == "3")
    mask[:] = 2
    mask[4:12, 4:13] = 0
    mask[14:20, 4:24] = 1
    assert np.array_equal(data.read(sample)[1], mask)


def test_black_beside_black_is_not_a_painted_photo(tmp_path, write_image):
    pixels = np.zeros((40, 50, 3), np.uint8)
    pixels[10:20, 10:20] = 200
    mask = np.zeros((40, 50), np.uint8)
    mask[20:30, 20:30] = 255
    raw = read_raw_mask(write_image(tmp_path / "m.png", mask))
    assert painted_fraction(raw, pixels) == 0


def test_painted_photos_are_refused_with_the_painted_colour(images, write_image, photo):
    for number in range(6):
        pixels = photo(number)
        write_image(images / "images" / f"{number}.png", pixels)
        (images / "images" / f"{number}.jpg").unlink()
        painted = pixels.copy()
        painted[4:16, 4:20] = (0, 0, 255)
        write_image(images / "masks" / f"{number}.png", painted)
    with pytest.raises(DataError, match=r"6 of 6 masks are painted photos: .* areas: #0000FF"):
        inspect(images)
