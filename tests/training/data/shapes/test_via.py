from __future__ import annotations

import json

import numpy as np
import pytest

from maskzoo.training.data.shapes.via import read_via
from tests.training.data.shapes.annotated import boxes, classes, drawn, write_images


def region(kind="polygon", label="cat", key="name", **keys):
    return {"shape_attributes": {"name": kind, **keys}, "region_attributes": {key: label}}


def square(label="cat", **keys):
    return region(label=label, all_points_x=[4, 12, 12, 4], all_points_y=[2, 2, 10, 10], **keys)


def document(*regions, as_dict=False):
    rows = {str(n): row for n, row in enumerate(regions)} if as_dict else list(regions)
    return {"0.png123": {"filename": "0.png", "size": 123, "regions": rows}}


@pytest.mark.parametrize("as_dict", [False, True])
@pytest.mark.parametrize("is_project", [False, True])
def test_regions_are_drawn_whether_a_list_or_a_dict(as_dict, is_project):
    content = document(square(), as_dict=as_dict)
    content = {"_via_settings": {}, "_via_img_metadata": content} if is_project else content
    assert np.array_equal(drawn(read_via(content)).codes, boxes((4, 2, 12, 10, 1)))


def test_circles_and_ellipses_have_their_area_and_others_are_counted():
    raw = drawn(
        read_via(
            document(
                region("circle", cx=10, cy=12, r=6),
                region("ellipse", "dog", cx=24, cy=12, rx=4, ry=8, theta=0),
                region("rect", x=1, y=1, width=4, height=4),
                region("polyline", all_points_x=[1, 2], all_points_y=[1, 2]),
                region("point", cx=1, cy=1),
                region(all_points_x=[1, 2, "x"], all_points_y=[1, 2, 3]),
            )
        )
    )
    assert (raw.codes == 1).sum() == pytest.approx(np.pi * 36, rel=0.06)
    assert (raw.codes == 2).sum() == pytest.approx(np.pi * 32, rel=0.06)
    assert raw.tally.not_drawn == {
        "boxes without an outline": 1,
        "lines": 1,
        "points": 1,
        "damaged (coordinates that are not numbers)": 1,
    }


def test_the_class_is_the_usual_attribute_or_the_one_that_most_regions_have():
    odd = square()
    odd["region_attributes"] = {"colour": "red", "Label": "dog"}
    listed = read_via(document(odd))
    assert "'Label'" in listed.notes[0]
    ticked = square(key="damage")
    ticked["region_attributes"] = {"damage": {"scratch": False, "dent": True}}
    assert drawn(read_via(document(ticked)), ("dent",)).codes.sum() == 64


def test_a_folder_of_via_is_read(tmp_path):
    for seed, split in enumerate(("train", "val")):
        write_images(tmp_path / split, seed=seed)
        content = {}
        for n in range(6):
            content |= {f"{n}": {"filename": f"{n}.png", "regions": [square()], "size": 1}}
        (tmp_path / split / "via_region_data.json").write_text(json.dumps(content))
    assert classes(tmp_path) == {"background": 12, "cat": 12}


@pytest.mark.parametrize("content", [[], {}, {"a": 1}, {"a": {"filename": "x"}}, None])
def test_other_json_is_not_via(content):
    assert read_via(content) is None
