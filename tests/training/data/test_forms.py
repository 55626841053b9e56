"""Every layout and every encoding that maskzoo says it reads: opened without an edit.

Each form stores the same truth, three classes in patches; what is read back must be that truth up
to the numbers of the classes. Twelve images, so that nothing but the form can be wrong.
"""

from __future__ import annotations

import csv
import json
import re

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.masks.decoding import decode_labels
from maskzoo.training.data.masks.maskfile import read_raw_mask
from maskzoo.training.data.opening import accept, inspect, open_dataset

NUMBER = 12
COLOURS = np.array([(10, 10, 200), (200, 10, 10), (10, 200, 10)], np.uint8)


def truth(number):
    """Return a mask of three classes: a ground, a rectangle and a disc."""
    rng = np.random.default_rng(number)
    mask = np.zeros((48, 64), np.uint8)
    top, left = (int(value) for value in rng.integers(2, 12, 2))
    mask[top : top + 20, left : left + 24] = 1
    cv2.circle(mask, (int(rng.integers(44, 50)), int(rng.integers(24, 34))), 10, 2, -1)
    return mask


def photo(number):
    rng = np.random.default_rng(1000 + number)
    return cv2.resize(rng.integers(0, 255, (12, 16, 3), np.uint8), (64, 48))


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    picture.save(path, **options)


def split_of(number):
    return "train" if number < 8 else "val"


def write_pairs(root, image, mask, write):
    """Write all samples by patterns with {n} and {split}; `write` stores one mask."""
    for number in range(NUMBER):
        words = {"n": f"{number:03}", "split": split_of(number)}
        save(root / image.format(**words), photo(number))
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


def ids(path, mask, number):
    save(path, mask)


LAYOUTS = {
    "splits below": ("images/{split}/{n}.png", "masks/{split}/{n}.png"),
    "splits above": ("{split}/images/{n}.png", "{split}/masks/{n}.png"),
    "no splits": ("images/{n}.png", "masks/{n}.png"),
    "suffixes": ("images/{n}.jpg", "masks/{n}_mask.png"),
    "prefixes": ("imgs/img_{n}.png", "labels/lbl_{n}.png"),
    "prefixes nobody foresaw": ("images/shot7_{n}.png", "masks/truth-{n}-v2.png"),
    "odd stems": ("images/{n}_sat.jpg", "masks/{n}_gt.tif"),
    "one folder": ("{n}.jpg", "{n}_mask.png"),
    "one folder a split": ("{split}/{n}.jpg", "{split}/{n}_mask.png"),
    "capitals": ("Images/{n}.JPG", "Masks/{n}.PNG"),
    "CamVid": ("{split}/{n}.png", "{split}annot/{n}.png"),
    "CamVid raw": ("701_StillsRaw_full/{n}.png", "LabeledApproved_full/{n}_L.png"),
    "Cityscapes": (
        "leftImg8bit/{split}/ulm/ulm_{n}_leftImg8bit.png",
        "gtFine/{split}/ulm/ulm_{n}_gtFine_labelTrainIds.png",
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_of_files_is_read(name, tmp_path):
    image, mask = LAYOUTS[name]
    write_pairs(tmp_path, image, mask, ids)
    assert_truth(tmp_path)


def test_ade20k_is_read(tmp_path):
    for number in range(NUMBER):
        split = {"train": "training", "val": "validation"}[split_of(number)]
        name = f"ADE_{split_of(number)}_{number:08}"
        save(tmp_path / "images" / split / f"{name}.jpg", photo(number))
        save(tmp_path / "annotations" / split / f"{name}.png", truth(number) + 1)
    report = inspect(tmp_path)
    assert report.num_errors == 0
    assert report.to_json()["splits"] == {"train": 8, "val": 4, "test": 0}
    assert report.findings.interpretation.labels.names[:3] == ("wall", "building", "sky")
    assert report.findings.interpretation.labels.num_classes == 150


def test_voc_is_read_by_its_lists(tmp_path):
    root = tmp_path / "VOC2012"
    palette = [0, 0, 0, 128, 0, 0, 0, 128, 0]

    def indexed(path, mask, number):
        picture = Image.fromarray(mask)
        picture.putpalette(palette)
        save(path, picture)

    write_pairs(root, "JPEGImages/{n}.jpg", "SegmentationClass/{n}.png", indexed)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split in ("train", "val"):
        stems = [f"{number:03}" for number in range(NUMBER) if split_of(number) == split]
        (lists / f"{split}.txt").write_text("\n".join(stems))
    report = assert_truth(tmp_path)
    assert report.to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def polygons(number):
    """Return the truth's shapes as (class, points), largest first."""
    mask = truth(number)
    found = []
    for label in (1, 2):
        outline, _ = cv2.findContours(
            (mask == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        found += [(label, part.reshape(-1, 2)) for part in outline]
    return found


def test_coco_json_is_read(tmp_path):
    for split in ("train", "val"):
        numbers = [number for number in range(NUMBER) if split_of(number) == split]
        content = {
            "images": [
                {"id": n, "file_name": f"{n:03}.png", "height": 48, "width": 64} for n in numbers
            ],
            "categories": [{"id": 3, "name": "box"}, {"id": 7, "name": "disc"}],
            "annotations": [],
        }
        for number in numbers:
            save(tmp_path / split / f"{number:03}.png", photo(number))
            for label, points in polygons(number):
                row = {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": (3, 7)[label - 1],
                    "segmentation": [points.ravel().tolist()],
                    "area": float(cv2.contourArea(points.astype(np.float32))),
                }
                content["annotations"].append(row)
        folder = tmp_path / "annotations"
        folder.mkdir(exist_ok=True)
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    report = assert_truth(tmp_path)
    assert [row["name"] for row in report.to_json()["classes"]] == ["background", "box", "disc"]


def coco_document(rows, categories):
    """Return a COCO json of images (name, ids of the categories drawn, one column each)."""
    images = [{"id": n, "file_name": name} for n, (name, _) in enumerate(rows)]
    annotations = [
        {
            "image_id": n,
            "category_id": category,
            "segmentation": [[8 * place, 0, 8 * place + 7, 0, 8 * place + 7, 47, 8 * place, 47]],
        }
        for n, (_, drawn) in enumerate(rows)
        for place, category in enumerate(drawn)
    ]
    return json.dumps({"images": images, "annotations": annotations, "categories": categories})


def column_labels(data):
    return {sample.stem: data.read(sample)[1][0, ::8].tolist() for sample in data.all_samples}


def test_coco_splits_may_use_the_same_file_names_and_other_ids(tmp_path):
    for split, (cat, dog), drawn in (("train", (1, 2), (1, 2)), ("valid", (9, 5), (9, 9))):
        for number in range(2):
            save(tmp_path / split / f"{number}.png", photo(number + 2 * (split == "valid")))
        rows = [("0.png", drawn), ("1.png", ())]
        names = [{"id": cat, "name": "cat"}, {"id": dog, "name": "dog"}]
        (tmp_path / split / "_annotations.coco.json").write_text(coco_document(rows, names))
    data = open_dataset(tmp_path)
    assert data.labels.names == ("background", "cat", "dog")
    assert column_labels(data) == {
        "train/0": [1, 2, 0, 0, 0, 0, 0, 0],
        "train/1": [0] * 8,
        "val/0": [1, 1, 0, 0, 0, 0, 0, 0],
        "val/1": [0] * 8,
    }


def test_an_image_in_two_coco_files_is_one_sample_with_the_shapes_of_both(tmp_path):
    folder = tmp_path / "annotations"
    folder.mkdir()
    for number in range(8):
        save(tmp_path / "train2017" / f"{number}.png", photo(number))
    names = [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
    for kind, drawn, known in (("instances", (2,), names), ("person_keypoints", (1,), names[:1])):
        rows = [(f"{number}.png", drawn) for number in range(8)]
        (folder / f"{kind}_train2017.json").write_text(coco_document(rows, known))
    data = open_dataset(tmp_path)
    assert len(data.all_samples) == 8
    assert data.labels.names == ("background", "person", "car")


def test_a_coco_category_that_only_names_a_group_is_no_class_and_that_is_said(tmp_path):
    names = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 1, "name": "nucleus", "supercategory": "cells"},
        {"id": 2, "name": "wall", "supercategory": "cells"},
    ]
    for number in range(8):
        save(tmp_path / f"{number}.png", photo(number))
    rows = [(f"{number}.png", (1,)) for number in range(8)]
    (tmp_path / "all.json").write_text(coco_document(rows, names))
    report = inspect(tmp_path)
    assert report.findings.interpretation.labels.names == ("background", "nucleus", "wall")
    assert any("'cells' has no shape" in note for note in report.findings.notes)


def test_a_coco_category_without_shapes_in_one_split_is_no_group(tmp_path):
    names = [
        {"id": 1, "name": "person", "supercategory": "person"},
        {"id": 2, "name": "animal", "supercategory": "none"},
        {"id": 3, "name": "dog", "supercategory": "animal"},
    ]
    for split, drawn in (("train", (3,)), ("valid", (2, 3))):
        for number in range(2):
            save(tmp_path / split / f"{number}.png", photo(number + 2 * (split == "valid")))
        rows = [("0.png", drawn), ("1.png", drawn)]
        (tmp_path / split / "_annotations.coco.json").write_text(coco_document(rows, names))
    report = inspect(tmp_path)
    assert report.findings.interpretation.labels.names == ("background", "person", "animal", "dog")
    assert not any("group" in note for note in report.findings.notes)


def test_a_coco_file_name_that_two_images_have_is_an_error_with_both(tmp_path):
    for folder in ("a", "b"):
        save(tmp_path / folder / "0.png", photo(0))
    document = coco_document([("0.png", (1,))], [{"id": 1, "name": "cat"}])
    (tmp_path / "all.json").write_text(document)
    with pytest.raises(DataError, match=r"all\.json lists '0\.png', which may be a/0\.png or b/"):
        inspect(tmp_path)
    (tmp_path / "all.json").write_text(document.replace('"0.png"', '"b/0.png"'))
    assert [str(s.image) for s in inspect(tmp_path).findings.samples] == [str(tmp_path / "b/0.png")]


def test_yolo_text_is_read(tmp_path):
    def write(path, mask, number):
        lines = [
            f"{label - 1} " + " ".join(f"{value:.6f}" for value in (points / (64, 48)).ravel())
            for label, points in polygons(number)
        ]
        path.write_text("\n".join(lines))

    write_pairs(tmp_path, "images/{split}/{n}.png", "labels/{split}/{n}.txt", write)
    (tmp_path / "data.yaml").write_text("names: [box, disc]\ntrain: images/train\n")
    assert_truth(tmp_path)


def test_labelme_json_beside_the_images_is_read(tmp_path):
    def write(path, mask, number):
        shapes = [
            {
                "label": ("box", "disc")[label - 1],
                "points": points.tolist(),
                "shape_type": "polygon",
            }
            for label, points in polygons(number)
        ]
        path.write_text(json.dumps({"shapes": shapes, "imagePath": "", "imageData": None}))

    write_pairs(tmp_path, "{n}.jpg", "{n}.json", write)
    assert_truth(tmp_path)


@pytest.mark.parametrize("columns", [("image", "mask", "split"), ("filename", "label_path", "set")])
def test_csv_lists_are_read(tmp_path, columns):
    write_pairs(tmp_path, "a/{n}.png", "b/m{n}.png", ids)
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(columns)
        for number in range(NUMBER):
            rows.writerow((f"a/{number:03}.png", f"b/m{number:03}.png", split_of(number)))
    report = assert_truth(tmp_path)
    if columns[2] == "split":
        assert report.to_json()["splits"]["val"] == 4


def written_list(root, lines, name="list.csv"):
    write_pairs(root, "a/{n}.png", "b/m{n}.png", ids)
    (root / name).write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("image;mask;set", "a/{n}.png;b/m{n}.png;{split}"),
        ("image, mask, split", "a/{n}.png, b/m{n}.png, {split}"),
        ("Image\tMask\tSubset", "a/{n}.png\tb/m{n}.png\t{split}"),
        ("image,mask,split", "a\\{n}.png,b\\m{n}.png,{split}"),
        ("image,mask,split", "{n}.png,m{n}.png,{split}"),
    ],
)
def test_csv_lists_of_other_programs_are_read(tmp_path, head, line):
    rows = [line.format(n=f"{number:03}", split=split_of(number)) for number in range(NUMBER)]
    written_list(tmp_path, [head, *rows])
    assert assert_truth(tmp_path).to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def test_a_word_that_is_no_split_is_an_error(tmp_path):
    written_list(tmp_path, ["image,mask,split", "a/000.png,b/m000.png,fold1"])
    with pytest.raises(DataError, match=r"puts a/000\.png into the split 'fold1'; use train, val"):
        inspect(tmp_path)


def test_a_list_whose_files_are_not_there_is_told_with_its_first_line(tmp_path):
    written_list(tmp_path, ["image,mask", "gone/000.png,b/m000.png", "a/x.png,b/m001.png"])
    with pytest.raises(DataError, match=r"list\.csv lists 2 pairs, such as 'gone/000\.png' and"):
        inspect(tmp_path)


def test_a_list_of_all_beside_one_for_each_split_doubles_no_sample(tmp_path):
    lines = [f"a/{number:03}.png b/m{number:03}.png" for number in range(NUMBER)]
    written_list(tmp_path, lines, "all.txt")
    for split in ("train", "val"):
        own = [line for number, line in enumerate(lines) if split_of(number) == split]
        (tmp_path / f"{split}.txt").write_text("\n".join(own))
    assert assert_truth(tmp_path).to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def test_samples_without_a_split_beside_others_with_one_are_told(tmp_path):
    rows = [
        f"a/{number:03}.png,b/m{number:03}.png,{'test' if number < 3 else ''}"
        for number in range(NUMBER)
    ]
    written_list(tmp_path, ["image,mask,split", *rows])
    report = inspect(tmp_path)
    assert "splits: 3 as given; the other 9 by hash with seed 0" in report.findings.notes


def test_text_lists_are_read(tmp_path):
    write_pairs(tmp_path, "a/{n}.png", "b/m{n}.png", ids)
    for split in ("train", "val"):
        lines = [
            f"a/{number:03}.png b/m{number:03}.png"
            for number in range(NUMBER)
            if split_of(number) == split
        ]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    assert assert_truth(tmp_path).to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def grey(path, mask, number):
    save(path, np.array([0, 127, 255], np.uint8)[mask])


def grey_without_white(path, mask, number):
    save(path, np.array([30, 90, 200], np.uint8)[mask])


def palette(path, mask, number):
    picture = Image.fromarray(mask)
    picture.putpalette(COLOURS.ravel().tolist())
    save(path, picture)


def palettes(path, mask, number):
    order = np.random.default_rng(number).permutation(3)
    picture = Image.fromarray(np.argsort(order).astype(np.uint8)[mask])
    picture.putpalette(COLOURS[order].ravel().tolist())
    save(path, picture)


def rgb(path, mask, number):
    save(path, COLOURS[mask])


def rgba(path, mask, number):
    save(path, np.dstack([COLOURS[mask], np.full_like(mask, 255)]))


def rgb_ids(path, mask, number):
    save(path, np.dstack([mask] * 3))


def mixed(path, mask, number):
    (rgb, palettes, rgba)[number % 3](path, mask, number)


def one_hot(path, mask, number):
    planes = np.stack([mask == label for label in range(3)]).astype(np.uint8) * 255
    tifffile.imwrite(path, planes, photometric="minisblack")


def one_hot_last(path, mask, number):
    planes = np.stack([mask == label for label in range(5)], axis=-1).astype(np.uint8)
    tifffile.imwrite(path, planes, photometric="minisblack")


def deep(path, mask, number):
    save(path, mask.astype(np.uint16) * 1000)


def deep_tiff(path, mask, number):
    tifffile.imwrite(path, mask.astype(np.int32))


ENCODINGS = {
    "ids": (ids, ".png"),
    "grey palette with white": (grey, ".png"),
    "grey palette": (grey_without_white, ".png"),
    "indexed": (palette, ".png"),
    "palettes by file": (palettes, ".png"),
    "RGB": (rgb, ".png"),
    "RGBA": (rgba, ".png"),
    "RGB of equal channels": (rgb_ids, ".png"),
    "RGB, RGBA and palettes mixed": (mixed, ".png"),
    "one-hot pages": (one_hot, ".tif"),
    "one-hot channels": (one_hot_last, ".tif"),
    "16 bits": (deep, ".png"),
    "32-bit TIFF": (deep_tiff, ".tif"),
    "BMP": (rgb, ".bmp"),
    "GIF": (palette, ".gif"),
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_is_read(name, tmp_path):
    write, suffix = ENCODINGS[name]
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + suffix, write)
    assert_truth(tmp_path)


def large(mask):
    """Return a mask at eight times its size: noise shows by its many values."""
    return cv2.resize(mask, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)


def soft_colours(path, mask, number):
    save(path, cv2.resize(COLOURS[large(mask)], None, fx=0.7, fy=0.7))


def jpeg_colours(path, mask, number):
    save(path, COLOURS[large(mask)], quality=90, subsampling=0)


def jpeg_grey(path, mask, number):
    save(path, np.array([0, 127, 255], np.uint8)[large(mask)], quality=75)


@pytest.mark.parametrize(
    ("write", "suffix"), [(jpeg_colours, ".jpg"), (jpeg_grey, ".jpg"), (soft_colours, ".png")]
)
def test_noise_and_soft_edges_take_the_closest_class(write, suffix, tmp_path):
    write_pairs(tmp_path, "images/{split}/{n}.png", "masks/{split}/{n}" + suffix, write)
    report = inspect(tmp_path)
    assert report.findings.interpretation.labels.num_classes == 3
    counts = np.zeros((3, 3), np.int64)
    for sample in report.findings.samples:
        labels = decode_labels(read_raw_mask(sample.mask), report.findings.encoding)
        true = cv2.resize(
            truth(int(sample.stem)), labels.shape[::-1], interpolation=cv2.INTER_NEAREST
        )
        np.add.at(counts, (true, labels), 1)
    assert counts.max(axis=1).sum() > 0.97 * counts.sum()
    assert sorted(counts.argmax(axis=1)) == [0, 1, 2]
