"""Which images are of bands, and what the person reads about them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import SpecError
from maskzoo.training.data.opening import inspect, open_dataset

SIZE = 24, 32


def folder(tmp_path: Path, write, *, yaml: str = "") -> Path:
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for number in range(8):
        random = np.random.default_rng(number)
        write(tmp_path / "images" / f"{number}", random, number)
        mask = (random.random(SIZE) > 0.5).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number}.png")
    if yaml:
        (tmp_path / "dataset.yaml").write_text(yaml)
    return tmp_path


def tiff(path: Path, samples: np.ndarray, **options: object) -> None:
    tifffile.imwrite(path.with_suffix(".tif"), samples, **options)


def test_8_bit_colours_are_no_bands(tmp_path):
    def write(path, random, number):
        kind = [(*SIZE, 3), SIZE][number % 2]
        Image.fromarray(random.integers(0, 256, kind, dtype=np.uint8)).save(
            path.with_suffix(".png")
        )

    found = inspect(folder(tmp_path, write))
    assert found.findings.bands is None
    assert found.to_json()["bands"] is None
    assert found.to_json()["image_modes"] == {"RGB": 4, "L": 4}


def test_a_fourth_band_that_is_flagged_as_alpha_and_holds_data_is_used(tmp_path):
    def write(path, random, number):
        samples = random.integers(0, 200, (*SIZE, 4), dtype=np.uint8)
        tiff(path, samples, photometric="rgb", extrasamples=["unassalpha"])

    found = inspect(folder(tmp_path, write))
    assert found.num_errors == 0
    bands = found.findings.bands.bands
    assert [band.name for band in bands.channels] == ["red", "green", "blue", "band 4"]
    assert {(band.low, band.high) for band in bands.channels} == {(0, 255)}


@pytest.mark.parametrize(("colours", "is_band"), [(3, True), (5, False)])
def test_most_images_decide_whether_the_fourth_band_is_used(tmp_path, colours, is_band):
    def write(path, random, number):
        samples = random.integers(0, 200, (*SIZE, 4), dtype=np.uint8)
        if number < colours:
            tiff(path, np.ascontiguousarray(samples[..., :3]), photometric="rgb")
        else:
            tiff(path, samples, photometric="rgb", extrasamples=["unassalpha"])

    found = inspect(folder(tmp_path, write))
    assert (found.findings.bands is not None) == is_band
    wrong = [problem.title for problem in found.problems if problem.kind == "bands"]
    assert bool(wrong) == is_band
    if is_band:
        assert found.findings.bands.bands.in_file == 4
        assert wrong[0].startswith("3 of 8 images have other bands than the 4 of uint8")


def test_alpha_that_is_alpha_stays_alpha(tmp_path):
    def write(path, random, number):
        samples = random.integers(0, 200, (*SIZE, 4), dtype=np.uint8)
        samples[..., 3] = 255
        samples[:3, :, 3] = 0
        tiff(path, samples, photometric="rgb", extrasamples=["unassalpha"])

    assert inspect(folder(tmp_path, write)).findings.bands is None


@pytest.mark.parametrize("shape", [SIZE, (*SIZE, 3)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_16_bits_are_scaled_alike_in_every_image(tmp_path, shape, suffix):
    """By the depth in use of each image, one value would be another grey in a darker image."""

    def write(path, random, number):
        samples = random.integers(0, 200 if number % 2 else 4000, shape, dtype=np.uint16)
        if suffix == ".tif":
            tiff(path, samples, photometric="rgb" if len(shape) == 3 else "minisblack")
        else:
            from imagecodecs import png_encode

            path.with_suffix(".png").write_bytes(png_encode(samples))

    root = folder(tmp_path, write)
    found = inspect(root)
    bands = found.findings.bands.bands
    assert (bands.in_file, bands.dtype) == (1 if len(shape) == 2 else 3, "uint16")
    data = open_dataset(root)
    dark = next(sample for sample in data.all_samples if sample.stem == "1")
    pixels, _ = data.read(dark)
    assert pixels.max() <= np.ceil(255 * 200 / 3900)


def test_mixed_depths_are_scaled_on_their_own_and_told(tmp_path):
    def write(path, random, number):
        samples = random.integers(0, 200, (*SIZE, 3)).astype(np.uint16 if number else np.uint8)
        tiff(path, samples, photometric="rgb")

    found = inspect(folder(tmp_path, write))
    assert found.findings.bands is None
    assert "images: 7 of 8 have more than 8 bits; each is scaled on its own" in str(
        found.findings.notes
    )


def test_no_data_of_dataset_yaml_is_for_files_that_name_none(tmp_path):
    def write(path, random, number):
        samples = random.integers(1, 200, (*SIZE, 2), dtype=np.uint16)
        samples[:6] = 0
        tiff(path, samples, photometric="minisblack", planarconfig="contig")

    facts = inspect(folder(tmp_path, write, yaml="no_data: 0\n")).findings.bands
    assert facts.bands.no_data == 0
    assert facts.missing == pytest.approx(0.25)
    assert min(lowest for lowest, _ in facts.ranges) >= 1


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("bands: [3]\n", "3 is not one of the 2 band"),
        ("bands: [0]\n", "greater than or equal to 1"),
        ("bands: [1]\nband_names: [a, b]\n", "2 band_names and 1 bands must match"),
    ],
)
def test_bands_that_cannot_be_are_refused(tmp_path, yaml, message):
    def write(path, random, number):
        samples = random.integers(1, 200, (*SIZE, 2), dtype=np.uint16)
        tiff(path, samples, photometric="minisblack", planarconfig="contig")

    with pytest.raises(SpecError, match=message):
        inspect(folder(tmp_path, write, yaml=yaml))
