"""Class lists beside the masks: json, CSV and the text files of CamVid and of CVAT."""

from __future__ import annotations

import pytest

from maskzoo.training.data.masks.lists.classlists import read_class_lists

FOREST = {0xFF0000: "tree", 0x00FF00: "grass"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.json", '{"classes": [{"title": "tree", "color": "#FF0000"}, '
         '{"title": "grass", "color": [0, 255, 0]}]}'),
        ("class_dict.csv", "name,r,g,b\ntree,255,0,0\ngrass,0,255,0\n"),
        ("label_colors.txt", "255 0 0\ttree\n\n0 255 0   grass\n"),
        ("label_colors.txt", "# R G B name\n255, 0, 0, tree\n0, 255, 0, grass\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\ntree:255,0,0::\ngrass:0,255,0::\n"),
    ],
)  # fmt: skip
def test_each_kind_of_list_gives_names_by_colour(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (found,) = read_class_lists(tmp_path)
    assert found.file.name == name
    assert found.names == FOREST


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("id2label.json", '{"0": "soil", "7": "tree"}'),
        ("_classes.csv", "Pixel Value, Class\n0, soil\n7, tree\n"),
        ("classes.csv", "id,name\n0,soil\n7,tree\n"),
        ("classes.csv", "id;name\n0;soil\n7;tree\n"),
        ("classes.csv", "class_id\tclass_name\n0\tsoil\n7\ttree\n"),
        ("classes.txt", "0 soil\n7 tree\n"),
        ("classes.txt", "# id: name\n0: soil\n7: tree\n"),
    ],
)
def test_each_kind_of_list_gives_names_by_value(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (found,) = read_class_lists(tmp_path)
    assert (found.kind, found.names) == ("values", {0: "soil", 7: "tree"})


def test_equal_lists_in_the_folders_of_the_splits_are_one(tmp_path):
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, soil\n7, tree\n")
    (found,) = read_class_lists(tmp_path)
    assert found.file == tmp_path / "train" / "_classes.csv"
    assert found.copies == (tmp_path / "valid" / "_classes.csv",)


def test_a_list_of_images_with_a_class_each_names_no_values(tmp_path):
    (tmp_path / "train.csv").write_text("id,class\n0,cat\n1,dog\n2,cow\n")
    assert read_class_lists(tmp_path) == []


def test_lines_of_a_list_that_cannot_be_read_are_passed_over(tmp_path):
    (tmp_path / "label_colors.txt").write_text(
        "255 0 0 tree\n0 255 grass\n0 999 0 x\n0 255 0 grass"
    )
    (found,) = read_class_lists(tmp_path)
    assert found.names == FOREST


@pytest.mark.parametrize(
    "text", ["images/a.png masks/a.png\n", "a\nb\n", "0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n",
             "notes on the data\n1 2 3 and more\nmore\n4 5 6 lines\nof text", ""]
)  # fmt: skip
def test_a_text_file_of_another_kind_is_not_a_list(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    assert read_class_lists(tmp_path) == []


def test_a_table_of_number_colour_and_name_is_read(tmp_path):
    rows = "Class\tR\tG\t B\n1\t0 \t0 \t0 \t_background_\n2\t128 \t0 \t0 \tbroken grain\n"
    (tmp_path / "class.txt").write_text(rows)
    (found,) = read_class_lists(tmp_path)
    assert found.names == {0: "_background_", 0x800000: "broken grain"}


@pytest.mark.parametrize("name", ["classes.txt", "labels.txt", "Class_Names.txt"])
def test_a_file_that_is_named_after_classes_may_hold_one_name_a_line(tmp_path, name):
    (tmp_path / name).write_text("soil\nbroken grain\ntree\n")
    (found,) = read_class_lists(tmp_path)
    assert (found.kind, found.by_line) == ("values", True)
    assert found.names == {0: "soil", 1: "broken grain", 2: "tree"}
