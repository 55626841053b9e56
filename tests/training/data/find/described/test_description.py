from __future__ import annotations

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.training.data.find.described.description import read_description
from maskzoo.training.data.opening import open_dataset


def write(tmp_path, text):
    path = tmp_path / "dataset.yaml"
    path.write_text(text, encoding="utf-8")
    return path


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
        ("encoding: values\nclasses: [{name: a, values: [5000000000]}]", "from 0 to 4294967295"),
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
        (
            f"encoding: values\nclasses: [{{name: {'n' * 101}, values: [1]}}]",
            "classes.0.name: String should have at most 100 characters",
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


@pytest.fixture
def masks(ids):
    splits = ["train"] * 5 + ["val"] * 3
    return {f"{split}/{number}": ids(0, 1, 1) for number, split in enumerate(splits)}


def test_a_description_may_lie_elsewhere(make_folder, masks, tmp_path):
    root = make_folder(masks)
    path = tmp_path / "elsewhere" / "my.yaml"
    path.parent.mkdir()
    path.write_text(
        "root: ../set\nencoding: values\n"
        "classes: [{name: sea, values: [0]}, {name: land, values: [1]}]"
    )
    assert open_dataset(path).labels.names == ("sea", "land")
    assert open_dataset(root, description=path).labels.names == ("sea", "land")
