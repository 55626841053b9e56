from __future__ import annotations

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.training.data.find.description import read_description
from maskzoo.training.data.find.splits import read_split_file
from maskzoo.training.data.masks.described import described_classes
from maskzoo.training.data.records.encoding import IGNORE

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


def test_all_mistakes_come_at_once_with_suggestions(tmp_path):
    text = """
clases: []
encoding: colours
classes: [{name: a, values: [red], color: "#000000"}]
splits: {sed: 1}
"""
    with pytest.raises(SpecError) as caught:
        read_description(write(tmp_path, text))
    message = str(caught.value)
    assert "clases: unknown key; did you mean 'classes'" in message
    assert "did you mean 'colour'" in message
    assert "did you mean 'seed'" in message


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("encoding: values", "give both encoding and classes"),
        ("images: a", "give both images and masks"),
        ("encoding: colours\nclasses: [{name: a, values: [3]}]", "3 is not a colour"),
        ("encoding: values\nclasses: [{name: a, values: ['#000000']}]", "is not a value"),
        ("encoding: values\nclasses: [{name: a, values: [70000]}]", "from 0 to 65535"),
        (
            "encoding: values\nclasses: [{name: a, values: [1]}, {name: b, values: [1]}]",
            "code 1 is given to several classes",
        ),
        (
            "encoding: values\nclasses: [{name: a, values: [1]}, {name: a, values: [2]}]",
            "class 'a' is described 2 times",
        ),
        (
            "encoding: values\nbackground: rof\nclasses: [{name: roof, values: [1]}]",
            "did you mean 'roof'",
        ),
        ("splits: {fractions: {train: 0}}", "none may be negative"),
        ("splits: {group: '('}", "is not a regular expression"),
        ("- a\n- b", "must hold keys and values"),
        ("a: [", "is not valid YAML"),
    ],
)
def test_each_mistake_is_explained(tmp_path, text, complaint):
    with pytest.raises(SpecError, match="mistake") as caught:
        read_description(write(tmp_path, text))
    assert complaint in str(caught.value)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(SpecError, match="does not exist"):
        read_description(tmp_path / "dataset.yaml")


def test_split_files_name_the_wrong_line(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("stem,split\na,train\nb,tests\n")
    with pytest.raises(SpecError, match="line 3: give a stem"):
        read_split_file(path)
    path.write_text("stem,split\na,train\nb,test\n")
    assert read_split_file(path) == {"a": "train", "b": "test"}
