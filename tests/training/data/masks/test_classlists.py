"""Class lists beside the masks: json, CSV and the text files of CamVid and of CVAT."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskzoo.models.labels import LabelSet
from maskzoo.training.data.masks.classlists import read_class_lists
from maskzoo.training.data.opening import inspect, open_dataset

FOREST = {0xFF0000: "tree", 0x00FF00: "grass"}

CAMVID = """\
64 128 64\tAnimal
192 0 128\tArchway
0 128 192\tBicyclist
0 128 64\tBridge
128 0 0\tBuilding
64 0 128\tCar
192 192 128\tColumn_Pole
64 64 128\tFence
64 64 0\tPedestrian
128 64 128\tRoad
0 0 192\tSidewalk
192 128 128\tSignSymbol
128 128 128\tSky
128 128 0\tTree
0 0 0\t\tVoid
64 192 0\tWall
"""


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
def test_each_form_of_a_list_gives_names_by_colour(tmp_path, name, text):
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
        ("classes.txt", "0 soil\n7 tree\n"),
        ("classes.txt", "# id: name\n0: soil\n7: tree\n"),
    ],
)
def test_each_form_of_a_list_gives_names_by_value(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (found,) = read_class_lists(tmp_path)
    assert (found.kind, found.names) == ("values", {0: "soil", 7: "tree"})


def test_equal_lists_in_the_folders_of_the_splits_are_one(tmp_path):
    for split in ("train", "valid"):
        (tmp_path / split).mkdir()
        (tmp_path / split / "_classes.csv").write_text("Pixel Value, Class\n0, soil\n7, tree\n")
    (found,) = read_class_lists(tmp_path)
    assert found.file == tmp_path / "train" / "_classes.csv"


@pytest.mark.parametrize("below", ["", "unzipped"])
def test_values_take_the_names_of_a_list_and_what_it_calls_void_is_ignored(
    tmp_path, write_picture, photo, below
):
    root = tmp_path / below
    rng = np.random.default_rng(0)
    for number in range(6):
        write_picture(root / "train" / f"{number}.jpg", photo(number, 40, 40))
        mask = rng.integers(0, 3, (5, 5)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        write_picture(root / "train" / f"{number}_mask.png", mask)
    rows = "Pixel Value, Class\n0, unlabeled\n1, soil\n2, tree\n3, water\n"
    (root / "train" / "_classes.csv").write_text(rows)
    found = inspect(tmp_path).findings.interpretation
    assert found.labels.names == ("soil", "tree")
    assert dict(found.encoding.table) == {0: 255, 1: 0, 2: 1}
    assert "names are those of _classes.csv" in found.notes


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
def test_a_text_file_of_another_kind_is_no_list(tmp_path, text):
    (tmp_path / "x.txt").write_text(text)
    assert read_class_lists(tmp_path) == []


def coloured_camvid(shared, root, *, count=6):
    """Write some of the real masks in the published colours, as the full release has them."""
    colours = np.array([*LabelSet.builtin("camvid").colours, (0, 0, 0)], np.uint8)
    for split in ("train", "val"):
        real = shared / "data" / "camvid"
        for image in sorted((real / "images" / split).iterdir())[::20][:count]:
            mask = cv2.imread(str(real / "masks" / split / f"{image.stem}.png"), 0)
            for kind, pixels in (
                ("images", cv2.imread(str(image))),
                ("masks", colours[np.minimum(mask, 11)][..., ::-1]),
            ):
                path = root / kind / split / f"{image.stem}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), pixels)
    (root / "label_colors.txt").write_text(CAMVID)
    return root


def test_real_camvid_in_colours_takes_names_from_its_list_where_that_is_right(shared, tmp_path):
    """The 11-class release draws its pavement in a colour that the published list lacks."""
    root = coloured_camvid(shared, tmp_path / "set")
    labels = open_dataset(root).labels
    expected = {"Sky", "Building", "Column_Pole", "Road", "Tree", "SignSymbol", "Fence", "Car"}
    assert {*expected, "colour_3C28DE"} <= set(labels.names)
    assert "Void" not in labels.names
    assert "Animal" not in labels.names
    assert labels.colours[labels.names.index("Road")] == (128, 64, 128)
    notes = " ".join(inspect(root).findings.notes)
    assert "names are those of label_colors.txt" in notes
    assert "#3C28DE" in notes
    assert "is not in label_colors.txt: a class of its own" in notes


@pytest.mark.slow
def test_a_list_beside_the_real_ids_of_camvid_does_no_harm(shared, tmp_path):
    (tmp_path / "images").symlink_to(shared / "data" / "camvid" / "images")
    (tmp_path / "masks").symlink_to(shared / "data" / "camvid" / "masks")
    (tmp_path / "label_colors.txt").write_text(CAMVID)
    data = open_dataset(tmp_path)
    assert data.labels == LabelSet.builtin("camvid")
    assert len(data.samples("train")) == 367
