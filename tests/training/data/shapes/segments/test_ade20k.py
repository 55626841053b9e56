from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import inspect, open_dataset
from tests.training.data.shapes.annotated import SIZE, write_images

NUMBERS = {"wall": 2978, "sky": 2420, "tree, oak": 2855}


def colours_of(number: int, instance: int) -> tuple[int, int, int]:
    return number // 256 * 10, number % 256, instance


def write(root, split, number, rows, *, names=None, encoding="utf-8"):
    """Write an image, its mask of rows of a class each, and its json."""
    folder = root / "images" / "ADE" / split / "urban" / "street"
    write_images(folder, 1, seed=number)
    stem = f"ADE_{split}_{number:08}"
    (folder / "0.png").rename(folder / f"{stem}.png")
    mask = np.zeros((*SIZE, 3), np.uint8)
    for place, name in enumerate(rows):
        mask[4 * place : 4 * place + 4] = colours_of(NUMBERS[name], 7 * place + 1)
    Image.fromarray(mask).save(folder / f"{stem}_seg.png")
    Image.fromarray(0 * mask).save(folder / f"{stem}_parts_1.png")
    single = folder / stem / "instance_000_1.png"
    single.parent.mkdir()
    Image.fromarray(mask[..., 0]).save(single)
    objects = [
        {"id": n, "name": name, "name_ndx": NUMBERS[name], "raw_name": "façade"}
        for n, name in enumerate(names or rows)
    ]
    content = {"annotation": {"filename": f"{stem}.png", "object": objects}}
    (folder / f"{stem}.json").write_bytes(json.dumps(content, ensure_ascii=False).encode(encoding))


def test_classes_are_numbered_by_red_and_green_and_named_by_the_json(tmp_path):
    for number in range(4):
        write(tmp_path, "training", number, ["wall", "sky", "wall"], encoding="latin-1")
    write(tmp_path, "validation", 9, ["tree, oak", "sky"])
    data = open_dataset(tmp_path)
    assert data.labels.names == ("background", "sky", "tree, oak", "wall")
    assert {sample.split for sample in data.all_samples} == {"train", "val"}
    first = next(sample for sample in data.all_samples if sample.stem.endswith("_00000000"))
    labels = data.read(first)[1]
    assert labels[:16, 0].tolist() == [3] * 4 + [1] * 4 + [3] * 4 + [255] * 4
    assert (labels == labels[:, :1]).all()


def test_parts_and_single_objects_are_left_out_and_every_file_is_accounted_for(tmp_path):
    for number in range(4):
        write(tmp_path, "training", number, ["wall", "sky"])
    account = inspect(tmp_path).to_json()["account"]["files"]
    assert account["used"] == {"images": 4, "annotations": 4, "lists": 4}
    assert {row["reason"]: row["count"] for row in account["left_out"]} == {
        "parts of objects": 4,
        "masks of single objects": 4,
    }


def test_a_class_that_no_json_names_is_counted_as_not_drawn(tmp_path):
    for number in range(4):
        write(tmp_path, "training", number, ["wall", "sky"], names=["wall"])
    tally = inspect(tmp_path).to_json()["account"]["annotations"]
    assert tally["not_drawn"] == {"of a class that no json names": 4}


def test_more_classes_than_a_mask_can_hold_are_refused_with_the_benchmark(tmp_path):
    NUMBERS.update({f"class {n}": n for n in range(1, 300)})
    try:
        for number in range(3):
            names = [f"class {n}" for n in range(1 + 100 * number, 100 + 100 * number)]
            write(tmp_path, "training", number, names[:3], names=names)
        with pytest.raises(DataError, match="hold 297 classes"):
            open_dataset(tmp_path)
    finally:
        for n in range(1, 300):
            del NUMBERS[f"class {n}"]


def test_the_yaml_of_the_reading_says_the_same(tmp_path):
    for number in range(4):
        write(tmp_path, "training", number, ["wall", "sky"])
    before = open_dataset(tmp_path)
    (tmp_path / "dataset.yaml").write_text("format: ade20k\n")
    after = open_dataset(tmp_path)
    assert [s.stem for s in before.all_samples] == [s.stem for s in after.all_samples]
    assert before.labels == after.labels
