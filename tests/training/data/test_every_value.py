"""Every way in which programs write values of masks: read as meant, or refused with the cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import accept, inspect
from maskzoo.training.data.records.encoding import IGNORE
from tests.training.data.truth import CLASS_COLOURS, large, save, truth, write_pairs

VOID_AT = (slice(0, 1), slice(0, 20))  # a strip at the margin that nobody labelled


def png(*levels, dtype=np.uint8):
    """Return a writer of PNGs in which truth n has the n-th of these values."""
    return lambda path, mask, number: save(path, np.array(levels, dtype)[mask])


def tiff(*levels, dtype=np.uint8, void=None, no_data=None, **options):
    """Return a writer of TIFFs, with a strip of what is unlabelled."""

    def write(path, mask, number):
        values = np.array(levels, dtype)[mask]
        if void is not None:
            values[VOID_AT] = void
        tags = [] if no_data is None else [(42113, "s", 0, str(no_data), True)]
        tifffile.imwrite(path, values, extratags=tags, **options)

    return write


def greys(*levels, shuffled=False):
    """Return a writer of indexed PNGs with a grey palette, for each file in another order."""

    def write(path, mask, number):
        order = np.arange(3)
        if shuffled:
            order = np.random.default_rng(number).permutation(3)
        image = Image.fromarray(np.argsort(order).astype(np.uint8)[mask])
        image.putpalette(np.repeat(np.array(levels, np.uint8)[order], 3).tolist())
        save(path, image)

    return write


def every_second(first, second):
    """Return a writer that takes turns between two."""
    return lambda path, mask, number: (first, second)[number % 2](path, mask, number)


def one_bit(path, mask, number):
    save(path, Image.fromarray(mask > 0))


def transparent(path, mask, number):
    """Write random colours where alpha is 0, as image editors leave them."""
    rgb = CLASS_COLOURS[mask]
    rgb[mask == 0] = np.random.default_rng(number).integers(0, 256, (int((mask == 0).sum()), 3))
    save(path, np.dstack([rgb, np.where(mask > 0, 255, 0).astype(np.uint8)]))


def stencil(path, mask, number):
    save(path, np.dstack([np.full((*mask.shape, 3), 255, np.uint8), (mask > 0) * np.uint8(255)]))


def jpeg(colours):
    def write(path, mask, number):
        save(path, colours[large(mask)], quality=90)

    return write


def contours(path, mask, number):
    """Write colours with white between the objects and the ground."""
    rgb = CLASS_COLOURS[mask]
    edges = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0
    rgb[edges] = 255
    save(path, rgb)


def thin_white(path, mask, number):
    """Write the third class as a white line of one pixel."""
    line = np.zeros_like(mask)
    line[40, 8:56] = 1
    rgb = CLASS_COLOURS[np.minimum(mask, 1)]
    rgb[line > 0] = 255
    save(path, rgb)


def bordered(path, mask, number):
    """Write ids with 255 around each object."""
    values = mask.copy()
    values[cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)) > 0] = 255
    save(path, values)


def third_without_data(path, mask, number):
    """Write ids that GDAL's tag marks as no data in a third of the image, inside as well."""
    values = mask.copy()
    values[:, ::3] = 255
    tifffile.imwrite(path, values, extratags=[(42113, "s", 0, "255", True)])


def deep(levels):
    """Return a writer of PNGs of three channels of 16 bits."""

    def write(path, mask, number):
        values = levels[mask]
        values = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=-1)
        cv2.imwrite(str(path), values[..., ::-1])

    return write


def numbers_in_channels(path, mask, number):
    """Write the class and the object into two channels of 16 bits, as SYNTHIA does."""
    values = np.stack([mask + 1, mask * (number + 1), 0 * mask], axis=-1).astype(np.uint16)
    cv2.imwrite(str(path), values[..., ::-1])


def own_palettes(path, mask, number):
    """Write ids with a palette of its own for each file."""
    image = Image.fromarray(mask)
    image.putpalette(np.random.default_rng(number).integers(0, 256, 9).tolist())
    save(path, image)


def soft(path, mask, number):
    blurred = cv2.GaussianBlur((mask > 0).astype(np.float32), (0, 0), 4)
    save(path, (blurred * 255).astype(np.uint8))


def soft_floats(path, mask, number):
    tifffile.imwrite(path, cv2.GaussianBlur((mask > 0).astype(np.float32), (0, 0), 4))


def ids_of_objects(path, mask, number):
    values = np.arange(mask.size, dtype=np.int32).reshape(mask.shape) * 97
    tifffile.imwrite(path, np.where(mask > 0, values, 0))


@dataclass(frozen=True)
class Case:
    """Masks, and the values that each of three true classes is read as.

    Args:
        write: stores one mask.
        suffix: of its file.
        classes: class ids of the true classes 0, 1, 2.
        ignored: whether some pixels are to be ignored.
    """

    write: Callable[[Path, np.ndarray, int], object]
    suffix: str = ".png"
    classes: tuple[int, int, int] = (0, 1, 2)
    ignored: bool = False


BINARY = (0, 1, 1)
READ = {
    "0 and 255": Case(png(0, 255, 255), classes=BINARY),
    "0 and 1": Case(png(0, 1, 1), classes=BINARY),
    "half 0 and 1, half 0 and 255": Case(
        every_second(png(0, 1, 1), png(0, 255, 255)), classes=BINARY
    ),
    "16-bit white": Case(png(0, 65535, 65535, dtype=np.uint16), classes=BINARY),
    "16-bit levels": Case(png(0, 32768, 65535, dtype=np.uint16)),
    "16-bit ids": Case(png(0, 1, 2, dtype=np.uint16)),
    "1 bit": Case(one_bit, classes=BINARY),
    "1-bit TIFF": Case(tiff(False, True, True, dtype=bool), ".tif", classes=BINARY),
    "white is zero": Case(tiff(0, 1, 2, photometric="miniswhite"), ".tif"),
    "white is zero, 1 bit": Case(
        tiff(False, True, True, dtype=bool, photometric="miniswhite"), ".tif", classes=BINARY
    ),
    "-1 for the ground": Case(tiff(-1, 0, 1, dtype=np.int16), ".tif"),
    "-1 for a strip": Case(tiff(0, 1, 2, dtype=np.int8, void=-1), ".tif", ignored=True),
    "NaN for the ground": Case(tiff(np.nan, 1, 2, dtype=np.float32), ".tif"),
    "NaN for a strip": Case(tiff(0, 1, 2, dtype=np.float32, void=np.nan), ".tif", ignored=True),
    "half floats": Case(tiff(0, 1, 2, dtype=np.float16), ".tif"),
    "no data 0 for the ground": Case(tiff(0, 1, 2, no_data=0), ".tif"),
    "no data 0 for a strip": Case(tiff(1, 2, 3, void=0, no_data=0), ".tif", ignored=True),
    "no data -9999": Case(
        tiff(1, 2, 3, dtype=np.int16, void=-9999, no_data=-9999), ".tif", ignored=True
    ),
    "a grey palette": Case(greys(0, 128, 255)),
    "grey palettes in another order each": Case(greys(0, 128, 255, shuffled=True)),
    "random colours under alpha 0": Case(transparent, classes=(0, 2, 1)),
    "one colour with alpha": Case(stencil, classes=BINARY),
    "JPEG of 0 and 255": Case(jpeg(np.array([0, 255, 255], np.uint8)), ".jpg", classes=BINARY),
    "JPEG of ids": Case(jpeg(np.arange(3, dtype=np.uint8)), ".jpg"),
    "JPEG of colours": Case(jpeg(CLASS_COLOURS), ".jpg", classes=(0, 2, 1)),
    "white contours": Case(contours, classes=(0, 2, 1), ignored=True),
    "ids with 255 between the objects": Case(bordered, ignored=True),
    "no data 255 in a third of each mask": Case(third_without_data, ".tif", ignored=True),
    "16-bit colours widened from 8": Case(deep(CLASS_COLOURS * np.uint16(257)), classes=(0, 2, 1)),
    "16-bit grey in three channels": Case(deep(np.array([0, 300, 600], np.uint16))),
}


@pytest.mark.parametrize("name", READ)
def test_values_are_read_as_they_are_meant(name, tmp_path):
    case = READ[name]
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + case.suffix, case.write)
    report = inspect(tmp_path)
    kinds = {problem.kind for problem in report.errors}
    assert kinds == ({"size"} if case.suffix == ".jpg" else set())  # JPEGs are written large
    assert report.findings.interpretation.labels.num_classes == len(set(case.classes))
    found = Counter()
    for _, facts in report.findings.rows:
        found.update(report.findings.class_counts(facts))
    assert (found[IGNORE] > 0) == case.ignored
    if case.suffix == ".jpg":
        return
    data = accept(report)
    for sample in data.all_samples:
        _, labels = data.read(sample)
        expected = np.array(case.classes)[truth(int(sample.stem.split("/")[-1]))]
        kept = labels != IGNORE
        assert np.array_equal(labels[kept], expected[kept]), sample.stem


def test_a_white_class_of_thin_lines_is_a_class(tmp_path):
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}.png", thin_white)
    report = inspect(tmp_path)
    white = report.findings.encoding.codes[0xFFFFFF]
    assert white != IGNORE
    assert 0 < report.fraction(white) < 0.02


REFUSED = {
    "soft masks": (soft, ".png", r"soft edges.*`threshold: 1\d\d`"),
    "soft floats": (soft_floats, ".tif", r"fractions.*`threshold: 0\.\d+`"),
    "ids of objects": (ids_of_objects, ".tif", "one class: .*nearest: true"),
    "ids beside levels": (
        every_second(png(0, 1, 2), png(0, 127, 255)),
        ".png",
        r"the same classes.*values: \[1, 127\]",
    ),
    "255 as a third object": (png(0, 1, 255), ".png", r"255 .*a class, or not labelled.*ignore: "),
    "1 and 255": (png(1, 1, 255), ".png", r"255 .*beside the ids 1, .*values: \[255\]"),
    "65535 as a third object": (
        png(0, 1, 65535, dtype=np.uint16),
        ".png",
        r"65535 .*a class, or not labelled",
    ),
    "numbers in channels of 16 bits": (
        numbers_in_channels,
        ".png",
        r"up to 3, \d+, 0.*2\]",
    ),
    "palettes of each file": (own_palettes, ".png", r"share the indices 0, 1, 2.*encoding: values"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_can_mean_several_things_are_refused_with_the_cure(name, tmp_path):
    write, suffix, message = REFUSED[name]
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + suffix, write)
    with pytest.raises(DataError, match=message):
        inspect(tmp_path)


CURES = {
    "palettes of each file": (
        "encoding: values\nbackground: ground\n"
        "classes: [{name: ground, values: [0]}, {name: thing, values: [1, 2]}]"
    ),
    "soft masks": "threshold: 128",
    "soft floats": "threshold: 0.5",
    "ids of objects": (
        "encoding: values\nnearest: true\n"
        "classes: [{name: background, values: [0]}, {name: object, values: [1]}]"
    ),
}


@pytest.mark.parametrize("name", CURES)
def test_the_cure_makes_background_and_foreground_of_them(name, tmp_path):
    write, suffix, _ = REFUSED[name]
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + suffix, write)
    (tmp_path / "dataset.yaml").write_text(CURES[name])
    report = inspect(tmp_path)
    assert report.num_errors == 0
    assert report.findings.interpretation.labels.background == (None if "ids" in name else 0)
    agreed = 0.0
    data = accept(report)
    for sample in data.all_samples:
        _, labels = data.read(sample)
        agreed += float((labels == (truth(int(sample.stem.split("/")[-1])) > 0)).mean())
    assert agreed / len(data.all_samples) > (0.9 if "soft" in name else 0.9999)


def test_what_the_messages_on_white_and_palettes_print_is_read(tmp_path):
    for name in ("255 as a third object", "palettes of each file"):
        root = tmp_path / name
        write_pairs(root, "images/{split}/{n}.png", "masks/{split}/{n}.png", REFUSED[name][0])
        with pytest.raises(DataError) as caught:
            inspect(root)
        _, encoding, _, classes, *_ = str(caught.value).split("`")
        (root / "dataset.yaml").write_text(f"{encoding}\n{classes}\n")
        data = accept(inspect(root))
        for sample in data.all_samples:
            expected = truth(int(sample.stem.split("/")[-1]))
            assert np.array_equal(data.read(sample)[1], expected)


def test_a_list_beside_the_masks_decides_what_255_is(tmp_path):
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}.png", png(0, 1, 255))
    (tmp_path / "classes.txt").write_text("ground\nroad\n")
    report = inspect(tmp_path)
    assert report.findings.interpretation.labels.names == ("ground", "road")
    assert report.findings.encoding.codes[255] == IGNORE


def test_the_line_that_saves_one_channel_of_16_bits_works(tmp_path, monkeypatch):
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}.png", numbers_in_channels)
    with pytest.raises(DataError) as caught:
        inspect(tmp_path)
    line, *_ = [part for part in str(caught.value).split("`") if part.startswith("cv2.imwrite")]
    for file in (tmp_path / "masks").rglob("*.png"):
        monkeypatch.chdir(file.parent)
        file.rename(file.parent / "x.png")
        exec(line, {"cv2": cv2})
        (file.parent / "x.png").unlink()
        (file.parent / "mask.png").rename(file)
    data = accept(inspect(tmp_path))
    for sample in data.all_samples:
        expected = truth(int(sample.stem.split("/")[-1]))
        assert np.array_equal(data.read(sample)[1], expected)
