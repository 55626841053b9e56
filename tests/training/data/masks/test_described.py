from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import SpecError
from maskzoo.training.data.find.described.description import read_description
from maskzoo.training.data.masks.described import described_classes
from maskzoo.training.data.opening import open_dataset
from maskzoo.training.data.records.encoding import IGNORE
from tests.training.data.documents import (
    labelme_square_mask,
    write_labelme,
)

GOOD = """
name: town
encoding: colours
classes:
  - {name: roof, values: ["#FF0000", "#EE0000"]}
  - {name: lawn, values: ["#00FF00"], colour: "#123456"}
ignore: ["#000000"]
background: lawn
"""


def write(tmp_path, text):
    path = tmp_path / "dataset.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_description_gives_table_and_classes(tmp_path):
    encoding, labels = described_classes(read_description(write(tmp_path, GOOD)))
    assert dict(encoding.table) == {0xFF0000: 0, 0xEE0000: 0, 0x00FF00: 1, 0: IGNORE}
    assert labels.names == ("roof", "lawn")
    assert labels.colours == ((255, 0, 0), (0x12, 0x34, 0x56))
    assert labels.background == 1


def test_ranges_of_values_are_unfolded(tmp_path):
    text = 'encoding: values\nclasses: [{name: a, values: [0]}, {name: b, values: ["1-3", 9]}]'
    encoding, _ = described_classes(read_description(write(tmp_path, text)))
    assert dict(encoding.table) == {0: 0, 1: 1, 2: 1, 3: 1, 9: 1}


def test_no_classes_leave_it_to_detection(tmp_path):
    assert described_classes(read_description(write(tmp_path, "name: x"))) is None


def test_polygon_classes_are_described_by_name(images):
    for number in range(6):
        write_labelme(images, number, label="cat" if number % 2 else "dog")
    (images / "dataset.yaml").write_text(
        "encoding: names\nclasses:\n  - {name: nothing, values: [background]}\n"
        "  - {name: animal, values: [cat, dog]}\n"
    )
    data = open_dataset(images)
    assert data.labels.names == ("nothing", "animal")
    assert all(
        np.array_equal(data.read(sample)[1], labelme_square_mask()) for sample in data.all_samples
    )


def test_a_polygon_class_that_does_not_exist_is_suggested(images):
    for number in range(6):
        write_labelme(images, number)
    (images / "dataset.yaml").write_text(
        "encoding: names\nclasses: [{name: a, values: [background]}, {name: b, values: [cta]}]\n"
    )
    with pytest.raises(SpecError, match="'cta' is not a class of the polygons; did you mean 'cat'"):
        open_dataset(images)
