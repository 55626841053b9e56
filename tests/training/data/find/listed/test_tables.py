"""Cells, headers and roles of columns of lists, however a program wrote them."""

from __future__ import annotations

import pytest

from maskzoo.training.data.find.listed.tables import (
    is_of_both,
    read_split_json,
    read_table,
    role_of,
    split_of_name,
    words_in,
)


@pytest.mark.parametrize(
    ("text", "header", "rows"),
    [
        ("a.png,b.png\nc.png,d.png\n", (), (("a.png", "b.png"), ("c.png", "d.png"))),
        ("sep=;\nimage;mask\na;b\n", ("image", "mask"), (("a", "b"),)),
        ("\ufeffimage\tmask\r\n\r\na b\tc\r\n", ("image", "mask"), (("a b", "c"),)),
        (
            '# ours\n"a, b.png"; c.png\n"d.png";e.png\n',
            (),
            (("a, b.png", "c.png"), ("d.png", "e.png")),
        ),
        ("foto,maske\na.png,b.png\n", ("foto", "maske"), (("a.png", "b.png"),)),
        ('a b.png\n"c.png"\n', (), (("a b.png",), ("c.png",))),
        ("", (), ()),
    ],
)
def test_a_table_has_its_cells_and_its_header(tmp_path, text, header, rows):
    file = tmp_path / "list.csv"
    file.write_bytes(text.encode())
    table = read_table(file)
    assert (table.header, table.rows) == (header, rows)


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("image", "image"),
        ("path_img", "image"),
        ("ImageId", "image"),
        ("path_mask", "mask"),
        ("label_path", "mask"),
        ("annotation", "mask"),
        ("image_set", "split"),
        ("Fold", "split"),
        ("age", None),
    ],
)
def test_the_name_of_a_column_says_what_it_holds(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("stem", "split"),
    [
        ("train", "train"),
        ("val_ids", "val"),
        ("TestFileNames", "test"),
        ("validation-list", "val"),
        ("val2017", "val"),
        ("trainval", "train"),
        ("train_val", "train"),
        ("train_masks", None),
        ("stage1_train", None),
        ("splits", None),
        ("readme", None),
    ],
)
def test_the_name_of_a_list_says_its_split(stem, split):
    assert split_of_name(stem) == split
    assert is_of_both(stem) == (stem in ("trainval", "train_val"))


def test_words_are_found_in_any_spelling():
    assert words_in("imgPath") == words_in("img_path") == words_in("Img Path") == ["img", "path"]


def test_the_column_of_splits_is_the_one_of_that_name_before_folds(tmp_path):
    file = tmp_path / "list.csv"
    file.write_text("id,fold,split\na,1,train\n")
    assert read_table(file).split_column() == 2
    file.write_text("id,fold\na,1\n")
    assert read_table(file).split_column() == 1
    file.write_text("train,a\nval,b\n")
    assert read_table(file).split_column() == 0
    file.write_text("id,age\na,1\n")
    assert read_table(file).split_column() is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"train": ["a"], "validation": ["b", 3]}', {"train": ["a"], "val": ["b", "3"]}),
        ('{"images": ["a"]}', {}),
        ('{"train": {"a": 1}}', {}),
        ("[1]", {}),
    ],
)
def test_a_json_of_names_by_split_is_told_from_others(tmp_path, text, found):
    file = tmp_path / "splits.json"
    file.write_text(text)
    assert read_split_json(file) == found
