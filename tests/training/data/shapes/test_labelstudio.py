from __future__ import annotations

import json

import numpy as np
import pytest

from maskzoo.training.data.shapes.labelstudio import read_label_studio
from tests.training.data.shapes.annotated import boxes, classes, drawn, write_images
from tests.training.data.shapes.test_brush import pack

STATED = {"original_width": 32, "original_height": 24}
SQUARE = {"points": [[12.5, 8.3333333], [37.5, 8.3333333], [37.5, 41.6666667], [12.5, 41.6666667]]}


def full(*results, image="/data/upload/1/0a1b2c3d-0.png", **keys):
    rows = [
        {"id": f"r{number}", **STATED, "type": kind, "value": value}
        for number, (kind, value) in enumerate(results)
    ]
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": rows, **keys}]}


def polygon(label="cat"):
    return "polygonlabels", {**SQUARE, "polygonlabels": [label]}


def test_polygons_are_percent_of_the_image_in_both_forms():
    short = {"image": "0.png", "label": [{**SQUARE, **STATED, "polygonlabels": ["cat"]}]}
    for content in ([full(polygon())], [short]):
        assert np.array_equal(drawn(read_label_studio(content)).codes, boxes((4, 2, 12, 10, 1)))


def test_brush_strokes_are_drawn():
    mask = np.random.default_rng(0).random((24, 32)) > 0.8
    value = {"format": "rle", "rle": pack(mask), "brushlabels": ["dog"]}
    raw = drawn(read_label_studio([full(("brushlabels", value))]))
    assert np.array_equal(raw.codes, 2 * mask)


def test_what_has_no_outline_or_is_damaged_is_counted():
    box = {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["cat"]}
    short = {"format": "rle", "rle": [1, 2, 3], "brushlabels": ["dog"]}
    ellipse = {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "ellipselabels": ["cat"]}
    results = [("rectanglelabels", box), ("brushlabels", short), ("ellipselabels", ellipse)]
    task = full(*results, ("choices", {"choices": ["good"]}))
    raw = drawn(read_label_studio([task]))
    assert raw.codes.sum() == pytest.approx(np.pi * 6.4 * 4.8, rel=0.06)
    assert raw.tally.not_drawn["boxes without an outline"] == 1
    assert "r1" in raw.tally.damaged[0]
    assert raw.tally.found == 3


def test_tasks_without_annotation_are_left_out_and_told():
    bare = {"id": 2, "data": {"image": "1.png"}, "annotations": []}
    cancelled = full(polygon(), was_cancelled=True)
    listed = read_label_studio([full(polygon()), bare, cancelled])
    assert [name for name, _ in listed.images] == ["/data/upload/1/0a1b2c3d-0.png"]
    assert listed.notes == ("2 tasks have no annotation in Label Studio: not used",)


def test_a_folder_of_label_studio_is_read(tmp_path):
    write_images(tmp_path / "images")
    names = ["0a1b2c3d-0.png", "/data/local-files/?d=images/1.png", "s3://b/2.png", "3.png"]
    tasks = [full(polygon(), image=name) for name in [*names, "/x/4.png", "http://h/5.png?a=b"]]
    (tmp_path / "project-1.json").write_text(json.dumps(tasks))
    assert classes(tmp_path) == {"background": 6, "cat": 6}


@pytest.mark.parametrize("content", [None, [], [1], [{"a": 1}], [{"image": "0.png"}], {"a": 1}])
def test_other_json_is_not_of_label_studio(content):
    assert read_label_studio(content) is None


def test_shapes_on_an_image_that_was_turned_in_the_tool_are_counted():
    task = full(polygon(), polygon("dog"))
    task["annotations"][0]["result"][1]["image_rotation"] = 90
    ((_, found),) = read_label_studio([task]).images
    assert len(found.shapes) == 1
    assert [row.kind for row in found.not_drawn] == [
        "drawn on an image that was turned in Label Studio"
    ]
