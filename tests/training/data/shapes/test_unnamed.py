"""Shapes that nobody has named: counted as not drawn, and never a class called None."""

from __future__ import annotations

import json

import pytest

from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.shapes.cvat import read_cvat
from maskzoo.training.data.shapes.fields import class_name
from maskzoo.training.data.shapes.labelme import LabelmePolygons
from maskzoo.training.data.shapes.supervisely import SuperviselyShapes
from tests.training.data.shapes.annotated import SIZE, drawn

SQUARE = [[2, 2], [10, 2], [10, 10], [2, 10]]
UNNAMED = [{}, {"name": None}, {"name": ""}, {"name": "  "}, {"name": ["cat"]}]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("cat", "cat"),
        (" cat ", "cat"),
        (7, "7"),
        (None, None),
        ("", None),
        ({}, None),
        (True, None),
    ],
)
def test_a_class_has_a_text_or_a_number_as_its_name(value, name):
    assert class_name(value) == name


@pytest.mark.parametrize("unnamed", UNNAMED)
def test_shapes_of_labelme_without_a_class_are_counted(tmp_path, unnamed):
    named = {("label" if key == "name" else key): value for key, value in unnamed.items()}
    shapes = [{"points": SQUARE, **row} for row in ({"label": "cat"}, named)]
    file = tmp_path / "0.json"
    file.write_text(json.dumps({"shapes": shapes, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}))
    reader = LabelmePolygons.of([file])
    assert reader.names == ("cat",)
    raw = paint(reader.read(tmp_path / "0.png", file), reader.names, SIZE)
    assert dict(raw.tally.not_drawn) == {"without a class": 1}
    assert raw.tally.drawn == 1


@pytest.mark.parametrize("unnamed", UNNAMED)
def test_objects_of_supervisely_without_a_class_are_counted(tmp_path, unnamed):
    named = {("classTitle" if key == "name" else key): value for key, value in unnamed.items()}
    shape = {"geometryType": "polygon", "points": {"exterior": SQUARE, "interior": []}}
    objects = [{**shape, **row} for row in ({"classTitle": "cat"}, named)]
    file = tmp_path / "0.png.json"
    size = {"height": SIZE[0], "width": SIZE[1]}
    file.write_text(json.dumps({"size": size, "objects": objects}))
    reader = SuperviselyShapes.of([file])
    assert reader.names == ("cat",)
    raw = paint(reader.read(tmp_path / "0.png", file), reader.names, SIZE)
    assert dict(raw.tally.not_drawn) == {"without a class": 1}


@pytest.mark.parametrize("attribute", ["", 'label=""'])
def test_elements_of_cvat_without_a_class_are_counted(tmp_path, attribute):
    points = ";".join(f"{x},{y}" for x, y in SQUARE)
    file = tmp_path / "annotations.xml"
    file.write_text(
        '<annotations><version>1.1</version><meta/><image id="0" name="0.png" width="32" '
        f'height="24"><polygon label="cat" points="{points}"/>'
        f'<polygon {attribute} points="{points}"/></image></annotations>'
    )
    assert dict(drawn(read_cvat(file)).tally.not_drawn) == {"without a class": 1}
