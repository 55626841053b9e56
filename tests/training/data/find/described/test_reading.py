"""Each reading that is offered prints the dataset.yaml that reads the same."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from PIL import Image

from maskzoo.models.errors import DataError, SpecError, UnknownNameError
from maskzoo.training.data.choice import merge
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.described.reading import read_described
from maskzoo.training.data.find.folders import find_folders, pair_folders
from maskzoo.training.data.find.layouts import find_of_format, find_readings
from maskzoo.training.data.find.trees.joining import are_classes
from maskzoo.training.data.records.description import Description
from maskzoo.training.data.records.readings.index import FileIndex

LAYOUTS = {
    "two mask folders": [
        "{split}/images/{n:02}_{split}.tif",
        "{split}/1st_manual/{n:02}_manual1.gif",
        "{split}/mask/{n:02}_{split}_mask.gif",
    ],
    "one folder a class": ["images/{n}.jpg", "masks/car/{n}.png", "masks/road/{n}.png"],
    "left and right": ["CXR_png/c{n}.png", "Manual/leftMask/c{n}.png", "Manual/rightMask/c{n}.png"],
    "two annotators": ["Image_{n:02}L.jpg", "Image_{n:02}L_1stHO.png", "Image_{n:02}L_2ndHO.png"],
    "areas": ["{Split}/{area}/images_png/{n}.png", "{Split}/{area}/masks_png/{n}.png"],
    "pairs": ["x{n}_sat.jpg", "x{n}_mask.png"],
    "words of splits in folders": ["{split}_img/{n}.jpg", "{split}_lab/{n}.png"],
    "cities": [
        "leftImg8bit/{split}/{area}/{area}_{n}_leftImg8bit.png",
        "gtFine/{split}/{area}/{area}_{n}_gtFine_labelIds.png",
        "gtFine/{split}/{area}/{area}_{n}_gtFine_color.png",
    ],
    "a folder an image": ["set/case{n}/image.png", "set/case{n}/mask.png"],
    "objects": [
        "all/id{n}/images/id{n}.png",
        "all/id{n}/masks/{n}ab.png",
        "all/id{n}/masks/{n}c.png",
    ],
    "defects": ["bottle/test/{area}/{n}.png", "bottle/ground_truth/{area}/{n}_mask.png"],
    "names that say nothing": ["blue/{n}.jpg", "red/{n}.png"],
    "two formats": [
        "PNG/Original/{n}.png",
        "PNG/Ground Truth/{n}.png",
        "TIF/Original/{n}.tif",
        "TIF/Ground Truth/{n}.tif",
    ],
    "images of masks": [
        "{split}/images/images/P{n}.png",
        "{split}/Semantic_masks/images/P{n}_instance_color_RGB.png",
        "{split}/Instance_masks/images/P{n}_instance_id_RGB.png",
    ],
    "versions": [
        "{split}/images/{n}.jpg",
        "{split}/v1.2/labels/{n}.png",
        "{split}/v2.0/labels/{n}.png",
        "{split}/v1.2/instances/{n}.png",
    ],
}


def make(root: Path, write_image, photo, names: list[str]) -> None:
    for number in range(8):
        split = "train" if number < 5 else "test"
        area = ("Urban", "Rural")[number % 2]
        for place, name in enumerate(names):
            path = name.format(n=number, split=split, Split=split.title(), area=area)
            if place == 0:
                write_image(root / path, photo(number))
                continue
            mask = np.zeros((24, 32), np.uint8)
            mask[4:9, 6 * place : 6 * place + 5] = 255
            write_image(root / path, mask)


def files(index: FileIndex) -> dict[Path, tuple[object, ...]]:
    shown = {pair.image: (pair.split, pair.mask) for pair in index.pairs}
    if index.annotations is None:
        return shown
    return {
        image: (split, len(index.annotations.read(image, mask).shapes))
        for image, (split, mask) in shown.items()
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_yaml_of_every_reading_reads_the_same(name, tmp_path, write_image, photo) -> None:
    make(tmp_path, write_image, photo, LAYOUTS[name])
    listing = Listing.of(tmp_path)
    readings = merge(find_readings(listing, find_folders))
    assert readings
    for reading in readings:
        described = Description.model_validate(yaml.safe_load(reading.origin.yaml()))
        again = read_described(listing, described, find_of_format, pair_folders)
        assert files(again) == files(reading), reading.origin.yaml()
        assert {p.stem for p in again.pairs} == {p.stem for p in reading.pairs}


@pytest.mark.parametrize(
    ("name", "origins"),
    [
        ("two mask folders", ["1st_manual", "mask"]),
        ("one folder a class", ["join", "masks/car", "masks/road"]),
        ("left and right", ["join", "Manual/leftMask", "Manual/rightMask"]),
        ("areas", ["masks_png"]),
        ("words of splits in folders", ["lab"]),
        ("names that say nothing", ["red"]),
        ("two formats", ["PNG/Ground Truth", "TIF/Ground Truth"]),
        ("objects", ["masks"]),
        ("defects", ["ground_truth"]),
    ],
)
def test_the_readings_of_a_layout(name, origins, tmp_path, write_image, photo) -> None:
    make(tmp_path, write_image, photo, LAYOUTS[name])
    readings = merge(find_readings(Listing.of(tmp_path), find_folders))
    assert [reading.origin.name for reading in readings] == origins
    assert all(len(reading.pairs) == 8 for reading in readings)


def test_good_parts_without_a_mask_are_offered_as_background(tmp_path, write_image, photo) -> None:
    make(tmp_path, write_image, photo, LAYOUTS["defects"])
    for split in ("train", "test"):
        write_image(tmp_path / f"bottle/{split}/good/0.png", photo(50))
    listing = Listing.of(tmp_path)
    defects, both = merge(find_readings(listing, find_folders))
    assert [len(defects.pairs), len(both.pairs)] == [8, 10]
    assert both.origin.name == "ground_truth + good"
    content = Description.model_validate(yaml.safe_load(both.origin.yaml()))
    again = read_described(listing, content, find_of_format, pair_folders)
    assert files(again) == files(both)
    assert {p.stem for p in again.pairs} == {p.stem for p in both.pairs}


def described(root: Path, **keys: object) -> FileIndex:
    listing = Listing.of(root)
    return read_described(listing, Description.model_validate(keys), find_of_format, pair_folders)


def test_images_without_a_mask_may_be_background(tmp_path, write_image, photo) -> None:
    make(tmp_path, write_image, photo, ["test/bad/{n}.png", "truth/bad/{n}_mask.png"])
    write_image(tmp_path / "test/good/0.png", photo(50))
    keys = {"images": "test/{kind}/{stem}.png", "masks": {"defect": "truth/{kind}/{stem}_mask.png"}}
    assert len(described(tmp_path, **keys).pairs) == 8
    index = described(tmp_path, **keys, unmasked="background")
    assert len(index.pairs) == 9
    good = tmp_path / "test/good/0.png"
    assert index.annotations is not None
    assert index.annotations.read(good, good).shapes == ()


def test_mistakes_are_told(tmp_path, touch) -> None:
    touch(["i/1.png", "m/2.png"])
    with pytest.raises(DataError, match=r"folder .*n' of the description does not exist"):
        described(tmp_path, images="i", masks="n")
    with pytest.raises(DataError, match="no image in 'i' has a mask in 'm'"):
        described(tmp_path, images="i", masks="m")
    with pytest.raises(DataError, match=r"no image has a mask as dataset\.yaml says"):
        described(tmp_path, images="i/{stem}.png", masks="m/{stem}.png")
    with pytest.raises(SpecError, match="folders are given in pairs"):
        described(tmp_path, images="i", masks={"a": "m"})
    with pytest.raises(UnknownNameError, match="unknown format 'cocoo'; did you mean 'coco'"):
        described(tmp_path, format="cocoo")


@pytest.mark.parametrize(("shared", "are"), [(0, True), (5, True), (6, False), (9, False)])
def test_masks_that_mostly_overlap_are_of_one_object_and_no_classes(tmp_path, shared, are):
    variants = []
    for name, first in (("car", 0), ("road", 10 - shared)):
        mask = np.zeros((8, 40), np.uint8)
        mask[:, first : first + 10] = 255
        path = tmp_path / f"{name}.png"
        Image.fromarray(mask).save(path)
        row = SimpleNamespace(image=tmp_path / "image.png", masks=(path,))
        variants.append(SimpleNamespace(rows=(row,)))
    assert are_classes(variants) is are
