from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from maskzoo.models.labels import LabelSet
from maskzoo.training.data.masks.lists.classlists import ClassList
from maskzoo.training.data.opening import inspect, open_dataset
from maskzoo.training.data.records.encoding import IGNORE
from tests.training.data.codes import rgb, table


def test_a_class_list_that_fits_gives_names_and_one_that_does_not_is_refused(detected, tmp_path):
    fits = ClassList(tmp_path / "good.csv", {0xC80A0A: "roof", 0x0AC80A: "lawn", 0x0A0AC8: "pond"})
    wrong = ClassList(tmp_path / "wrong.json", {0x111111: "roof", 0x222222: "lawn"})
    result = detected([rgb("red", "green", "blue")], lists=(wrong, fits))
    assert sorted(result.labels.names) == ["lawn", "pond", "roof"]
    assert any("wrong.json is not believed: 0 of its 2" in note for note in result.notes)
    code = {name: code for code, name in fits.names.items()}
    for label, name in enumerate(result.labels.names):
        assert table(result)[code[name]] == label


def test_colours_that_a_believed_list_lacks_get_a_note_and_listed_ones_that_never_occur_do_not(
    detected, tmp_path
):
    listed = {0xC80A0A: "roof", 0x0AC80A: "lawn", 0x123456: "moor", 0x654321: "reef"}
    result = detected([rgb("red", "green", "blue")], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert sorted(result.labels.names) == ["colour_0A0AC8", "lawn", "roof"]
    notes = " ".join(result.notes)
    assert "#0A0AC8 (33 % of the pixels, in 1 file) is not in l.txt: a class of its own" in notes
    assert "moor" not in notes
    assert "123456" not in notes


def test_what_a_believed_list_calls_void_is_ignored_however_frequent(detected, tmp_path):
    mask = rgb("red", "green", "blue")
    mask[:12] = 0
    listed = {0xC80A0A: "roof", 0x0AC80A: "lawn", 0x0A0AC8: "pond", 0: "Void"}
    result = detected([mask], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert result.labels.names == ("pond", "lawn", "roof")
    assert result.labels.background is None
    assert table(result)[0] == IGNORE
    assert any("#000000" in note and "'Void' in l.txt: ignored" in note for note in result.notes)


def test_a_rare_black_that_a_believed_list_names_is_a_class(detected, tmp_path):
    mask = rgb("red", "green", size=(100, 100))
    mask[0, :50] = 0
    listed = {0xC80A0A: "roof", 0x0AC80A: "lawn", 0: "pole"}
    result = detected([mask], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert result.labels.names == ("pole", "lawn", "roof")
    assert result.labels.colours == ((0, 0, 0), (10, 200, 10), (200, 10, 10))
    assert table(result) == {0: 0, 0x0AC80A: 1, 0xC80A0A: 2}


def test_a_list_names_the_ids_of_a_palette_by_its_colours(detected, ids, tmp_path):
    palette = [(128, 128, 128), (200, 10, 10), (10, 200, 10)]
    listed = {0x808080: "sky", 0xC80A0A: "roof", 0x0AC80A: "lawn"}
    lists = (ClassList(tmp_path / "l.txt", listed),)
    result = detected([ids(0, 1, 2)], palettes=[palette], lists=lists)
    assert result.labels.names == ("sky", "roof", "lawn")
    assert table(result) == {0: 0, 1: 1, 2: 2}


def test_a_list_of_one_name_for_two_colours_gives_no_names(detected, tmp_path):
    listed = {0xC80A0A: "roof", 0x0AC80A: "roof", 0x0A0AC8: "pond"}
    result = detected([rgb("red", "green", "blue")], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert "colour_C80A0A" in result.labels.names
    assert any("l.txt gives 'roof' to several colours" in note for note in result.notes)


def test_a_list_with_too_long_a_name_gives_no_names(detected, tmp_path):
    listed = {0xC80A0A: "roof", 0x0AC80A: "n" * 101, 0x0A0AC8: "pond"}
    result = detected([rgb("red", "green", "blue")], lists=(ClassList(tmp_path / "l.txt", listed),))
    assert "colour_C80A0A" in result.labels.names
    assert any("l.txt is not used: class name 'n" in note for note in result.notes)


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


@pytest.mark.parametrize("below", ["", "unzipped"])
def test_values_take_the_names_of_a_list_and_what_it_calls_void_is_ignored(
    tmp_path, write_image, photo, below
):
    root = tmp_path / below
    rng = np.random.default_rng(0)
    for number in range(6):
        write_image(root / "train" / f"{number}.jpg", photo(number, 40, 40))
        mask = rng.integers(0, 3, (5, 5)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
        write_image(root / "train" / f"{number}_mask.png", mask)
    rows = "Pixel Value, Class\n0, unlabeled\n1, soil\n2, tree\n3, water\n"
    (root / "train" / "_classes.csv").write_text(rows)
    found = inspect(tmp_path).findings.interpretation
    assert found.labels.names == ("soil", "tree")
    assert dict(found.encoding.table) == {0: 255, 1: 0, 2: 1}
    assert "names are those of _classes.csv" in found.notes


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


def test_a_list_of_values_may_name_what_was_taken_for_void(detected, ids, tmp_path):
    listed = {0: "soil", 1: "tree", 255: "cloud"}
    lists = (ClassList(tmp_path / "classes.csv", listed, "values"),)
    result = detected([ids(0, 1, 255)], lists=lists)
    assert result.labels.names == ("soil", "tree", "cloud")
    assert table(result) == {0: 0, 1: 1, 255: 2}
    assert len(set(result.labels.colours)) == 3


def test_a_list_that_fits_stands_over_a_published_table(detected, tmp_path):
    isprs = [0xFFFFFF, 0x0000FF, 0x00FFFF, 0x00FF00, 0xFFFF00, 0xFF0000]
    colours = np.array([[code >> 16, code >> 8 & 255, code & 255] for code in isprs], np.uint8)
    mask = np.tile(np.repeat(colours, 4, axis=0), (24, 1, 1))
    listed = {code: f"own_{number}" for number, code in enumerate(isprs)}
    result = detected([mask], lists=(ClassList(tmp_path / "labelmap.txt", listed),))
    assert set(result.labels.names) == set(listed.values())
    assert "building" in detected([mask]).labels.names


def test_names_that_stand_one_a_line_are_used_where_each_value_has_one(detected, ids):
    lines = ClassList(Path("classes.txt"), {0: "soil", 1: "tree", 2: "road"}, "values", True)
    masks = [ids(0, 1, 2), ids(0, 2)] * 3
    assert detected(masks, lists=[lines]).labels.names == ("soil", "tree", "road")


def test_names_without_one_for_the_background_never_shift(detected, ids):
    lines = ClassList(Path("classes.txt"), {0: "tree", 1: "road"}, "values", True)
    result = detected([ids(0, 1, 2)] * 6, lists=[lines])
    assert result.labels.names == ("class_0", "class_1", "class_2")
    assert any("hold values up to 2" in note and "2 names" in note for note in result.notes)
