from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.masks.noise import find_peaks
from maskzoo.training.data.masks.stored.maskfile import pack_colours
from maskzoo.training.data.records.rawmask import RawMask
from tests.training.data.codes import COLOURS, as_jpeg, census_of, rgb, table


@pytest.fixture
def discs_of():
    """Return a mask of 256 x 256 with discs of these values on the first of them."""

    def draw(levels, discs=30, radius=40):
        rng = np.random.default_rng(1)
        yy, xx = np.mgrid[:256, :256]
        mask = np.full((256, 256), levels[0], np.uint8)
        for number in range(discs):
            cy, cx = rng.integers(0, 256, 2)
            disc = (yy - cy) ** 2 + (xx - cx) ** 2 < rng.integers(radius // 4, radius) ** 2
            mask[disc] = levels[number % len(levels)]
        return mask

    return draw


def test_jpeg_noise_around_0_and_255_is_seen_through(detected):
    clean = np.zeros((128, 128), np.uint8)
    clean[32:96, 40:100] = 255
    yy, xx = np.mgrid[:128, :128]
    clean[(yy - 30) ** 2 + (xx - 30) ** 2 < 400] = 255
    noisy = as_jpeg(clean, 40)
    result = detected([noisy])
    assert result.encoding.nearest
    assert result.labels.names == ("background", "foreground")
    labels = decode_labels(RawMask(noisy, "values", "L"), result.encoding)
    assert np.mean(labels == (clean > 127)) > 0.99


@pytest.mark.parametrize("quality", [75, 90, 95, 100])
@pytest.mark.parametrize("levels", [(0, 255), (0, 128, 255), (0, 38, 75, 113, 150)])
def test_jpeg_noise_is_seen_through_however_little_it_is(detected, discs_of, levels, quality):
    clean = discs_of(levels)
    noisy = as_jpeg(clean, quality)
    result = detected([noisy])
    assert [code for code, _ in result.encoding.table] == list(levels)
    labels = decode_labels(RawMask(noisy, "values", "L"), result.encoding)
    assert np.mean(labels == np.searchsorted(levels, clean)) > 0.99


@pytest.mark.parametrize("size", [(128, 128), (400, 400)])
def test_the_few_steps_of_edges_that_were_scaled_are_not_classes(detected, discs_of, size):
    soft = np.asarray(Image.fromarray(discs_of((0, 255))).resize(size, Image.Resampling.BILINEAR))
    assert len(np.unique(soft)) > 2
    result = detected([soft])
    assert table(result) == {0: 0, 255: 1}
    assert result.encoding.nearest


@pytest.mark.parametrize("void", [(), (255,)])
@pytest.mark.parametrize("number", [34, 40, 66, 150, 220])
def test_many_ids_are_classes_and_not_noise_around_a_few(detected, discs_of, number, void):
    result = detected([discs_of((*range(number), *void), discs=900, radius=12)])
    assert not result.encoding.nearest
    assert result.labels.num_classes == number


def test_thin_lines_of_a_few_ids_beside_void_stay_classes(detected):
    mask = np.zeros((96, 96), np.uint8)
    for number in range(12):
        mask[8 * number, :] = 1 + number % 3
    mask[76:] = 255
    assert detected([mask]).labels.num_classes == 4


def test_soft_edges_between_colours_are_not_classes(detected):
    big = rgb("red", "green", "blue", size=(400, 402))
    yy, xx = np.mgrid[:400, :402]
    big[(yy - 200) ** 2 + (xx - 200) ** 2 < 90**2] = COLOURS["blue"]
    soft = np.asarray(Image.fromarray(big).resize((201, 200), Image.Resampling.BICUBIC))
    noisy = as_jpeg(soft, 90)
    result = detected([noisy])
    assert result.labels.num_classes == 3
    assert "noise" in result.storage
    codes = pack_colours(noisy)
    labels = decode_labels(RawMask(codes, "colours", "RGB"), result.encoding)
    assert np.unique(labels).tolist() == [0, 1, 2]


def test_a_hundred_colours_are_classes_and_not_noise_around_a_few(detected, discs_of):
    colours = np.random.default_rng(3).integers(0, 256, (100, 3), np.uint8)
    result = detected([colours[discs_of(range(100), discs=900, radius=12)]])
    assert result.labels.num_classes == 100


def test_many_rare_colours_that_are_not_blends_stay_classes(detected):
    rng = np.random.default_rng(0)
    mask = np.tile(rgb("red", "green", "blue", size=(96, 96)), (4, 4, 1))
    rare = rng.integers(0, 256, (12, 3), np.uint8)
    for number, colour in enumerate(rare):
        mask[30 * number : 30 * number + 8, 10:18] = colour
    assert detected([mask]).labels.num_classes == 15


@pytest.mark.parametrize(("noise", "peaks"), [(90, [0, 255]), (220, None)])
def test_peaks_hold_much_of_the_pixels_themselves(noise, peaks):
    pixels = {0: 1500, 255: 1500}
    pixels |= dict.fromkeys([*range(1, 17), *range(239, 255)], noise)
    assert find_peaks(census_of("values", pixels, solid=(0, 255))) == peaks


@pytest.mark.parametrize(("strays", "peaks"), [(20, [0x000000, 0xFFFFFF]), (60, None)])
def test_peaks_explain_nearly_all_colours(strays, peaks):
    near = [red << 16 | green << 8 for red in range(1, 9) for green in range(20, 29)]
    far = [
        red << 16 | green << 8 | blue
        for red in range(60, 256, 48)
        for green in range(60, 256, 48)
        for blue in (0x30, 0x80, 0xE0)
    ]
    pixels = {0x000000: 5000, 0xFFFFFF: 4000} | dict.fromkeys(near, 24)
    pixels |= dict.fromkeys(far[:strays], 20)
    assert len(pixels) > 64
    assert find_peaks(census_of("colours", pixels, solid=(0x000000, 0xFFFFFF))) == peaks


@pytest.mark.parametrize(("lossy", "ids"), [(2, [0, 1, 2]), (1, None)])
def test_low_ids_are_told_from_noise_where_all_masks_are_jpegs(lossy, ids):
    pixels = {0: 4000, 1: 3000, 2: 2000, 3: 20, 4: 15}
    assert find_peaks(census_of("values", pixels, solid=(0, 1, 2), num_lossy=lossy)) == ids


def test_colours_of_strong_compression_that_fill_no_areas_are_not_made_classes(detected):
    """At this size and quality red is mixed with black over most of the discs."""
    yy, xx = np.mgrid[:48, :64]
    masks = []
    for number in range(6):
        clean = np.zeros((48, 64, 3), np.uint8)
        clean[(yy - 20) ** 2 + (xx - 12 - 7 * number) ** 2 < 60] = (255, 0, 0)
        masks.append(as_jpeg(clean, 30))
    with pytest.raises(DataError, match=r"fill no areas.*what compression made of others"):
        detected(masks)
