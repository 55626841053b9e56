"""Every file and every annotation is accounted for, whichever reader reads the folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.account import failure_json
from maskzoo.training.data.opening import inspect
from tests.training.data.documents import SQUARE, coco_document, write_labelme

EXTRA = ("notes/readme.txt", "images/spare.xyz", "model.mat", ".DS_Store", "Thumbs.db")


def masks(root: Path, write_image, name: str) -> None:
    for number in range(6):
        mask = np.zeros((24, 32), np.uint8)
        mask[4:12, 4 : 12 + number] = 255
        write_image(root / name.format(n=number), mask)


def write_png(root, write_image):
    masks(root, write_image, "masks/{n}.png")
    masks(root, write_image, "masks_color/{n}.png")
    write_image(root / "masks/99.png", np.zeros((24, 32), np.uint8))


def write_objects(root, write_image):
    for name in ("a1", "b2c", "d7"):
        masks(root, write_image, f"masks/{{n}}_{name}{{n}}.png")


def write_list(root, write_image):
    masks(root, write_image, "masks/{n}.png")
    lines = [f"images/{n}.jpg,masks/{n}.png" for n in range(5)]
    (root / "list.csv").write_text("\n".join(["image,mask", *lines]))


def write_coco(root, write_image):
    names = [(f"{n}.jpg", [1, 2]) for n in range(5)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    (root / "annotations.json").write_text(coco_document(names, categories))


def write_all_labelme(root, write_image):
    for number in range(6):
        write_labelme(root, number)
    shapes = [
        {"label": "cat", "points": SQUARE, "shape_type": "polygon"},
        {"label": "cat", "points": [[1, 1]], "shape_type": "point"},
    ]
    (root / "images/0.json").write_text(json.dumps({"shapes": shapes}))


def write_yolo(root, write_image):
    (root / "labels").mkdir()
    for number in range(6):
        (root / f"labels/{number}.txt").write_text("0 .1 .1 .5 .1 .5 .5\n0 .5 .5 .2 .2\n")
    (root / "classes.txt").write_text("cat\ndog\n")


def write_via(root, write_image):
    region = {
        "shape_attributes": {
            "name": "polygon",
            "all_points_x": [4, 12, 12],
            "all_points_y": [2, 2, 9],
        },
        "region_attributes": {"class": "cat"},
    }
    rows = {f"{n}.jpg": {"filename": f"{n}.jpg", "size": 1, "regions": [region]} for n in range(6)}
    (root / "via.json").write_text(json.dumps(rows))


READERS = {
    "mask files": write_png,
    "objects": write_objects,
    "a list": write_list,
    "COCO": write_coco,
    "labelme": write_all_labelme,
    "YOLO": write_yolo,
    "VIA": write_via,
}


@pytest.mark.parametrize("name", READERS)
def test_the_sums_add_up_for_every_reader(name, images, write_image) -> None:
    READERS[name](images, write_image)
    for extra in EXTRA:
        (images / extra).parent.mkdir(exist_ok=True)
        (images / extra).write_bytes(b"x")
    account = inspect(images, deep=False).to_json()["account"]
    files = account["files"]
    there = [path for path in images.rglob("*") if path.is_file()]
    assert files["found"] == len(there)
    assert files["found"] == sum(files["used"].values()) + sum(
        row["count"] for row in files["left_out"]
    )
    assert files["used"]["images"] >= 5
    assert any(".DS_Store" in row["examples"] for row in files["left_out"])
    assert any("model.mat" in row["examples"] for row in files["left_out"])
    shapes = account["annotations"]
    assert (shapes is None) == (name in ("mask files", "a list"))
    if shapes is not None:
        assert shapes["found"] == (
            shapes["drawn"] + shapes["covered"] + sum(shapes["not_drawn"].values())
        )
        assert shapes["found"] > 0


def test_what_is_not_drawn_is_counted(images, write_image) -> None:
    write_all_labelme(images, write_image)
    shapes = inspect(images, deep=False).to_json()["account"]["annotations"]
    assert shapes["found"] == 7
    assert shapes["drawn"] == 6
    assert sum(shapes["not_drawn"].values()) == 1


def test_renderings_and_lone_masks_are_left_out_with_their_reason(images, write_image) -> None:
    write_png(images, write_image)
    files = inspect(images, deep=False).to_json()["account"]["files"]
    assert files["used"] == {"images": 6, "masks": 6}
    assert {row["reason"]: row["count"] for row in files["left_out"]} == {
        "colour rendering": 6,
        "no image has this name": 1,
    }


def test_images_that_no_json_lists_are_told(images, write_image) -> None:
    write_coco(images, write_image)
    (problem,) = (
        p for p in inspect(images, deep=False).problems if p.kind == "images-without-mask"
    )
    assert [item.file for item in problem.items] == [images / "images/5.jpg"]


def test_a_failure_has_its_account_too(images) -> None:
    with pytest.raises(DataError) as caught:
        inspect(images)
    report = failure_json(images, caught.value)
    assert report["account"]["files"]["found"] == 6
    assert report["account"]["files"]["used"] == {}
    assert report["error"]["message"] == str(caught.value)
    assert report["num_errors"] == 1
