from __future__ import annotations

import csv

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import inspect
from tests.training.data.reading import find_pairs
from tests.training.data.truth import (
    NUMBER,
    assert_truth,
    save_ids,
    split_of,
    write_pairs,
)


@pytest.mark.parametrize("columns", [("image", "mask", "split"), ("filename", "label_path", "set")])
def test_csv_lists_are_read(tmp_path, columns):
    write_pairs(tmp_path, "a/{n}.png", "b/m{n}.png", save_ids)
    with (tmp_path / "list.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(columns)
        for number in range(NUMBER):
            rows.writerow((f"a/{number:03}.png", f"b/m{number:03}.png", split_of(number)))
    report = assert_truth(tmp_path)
    if columns[2] == "split":
        assert report.to_json()["splits"]["val"] == 4


def written_list(root, lines, name="list.csv"):
    write_pairs(root, "a/{n}.png", "b/m{n}.png", save_ids)
    (root / name).write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("image;mask;set", "a/{n}.png;b/m{n}.png;{split}"),
        ("image, mask, split", "a/{n}.png, b/m{n}.png, {split}"),
        ("Image\tMask\tSubset", "a/{n}.png\tb/m{n}.png\t{split}"),
        ("image,mask,split", "a\\{n}.png,b\\m{n}.png,{split}"),
        ("image,mask,split", "{n}.png,m{n}.png,{split}"),
    ],
)
def test_csv_lists_of_other_programs_are_read(tmp_path, head, line):
    rows = [line.format(n=f"{number:03}", split=split_of(number)) for number in range(NUMBER)]
    written_list(tmp_path, [head, *rows])
    assert assert_truth(tmp_path).to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def test_a_word_that_is_not_a_split_is_an_error(tmp_path):
    written_list(tmp_path, ["image,mask,split", "a/000.png,b/m000.png,good"])
    with pytest.raises(DataError, match=r"puts a/000\.png into the split 'good'; use train, val"):
        inspect(tmp_path)


def test_a_list_of_absent_files_is_reported_with_its_first_line(tmp_path):
    written_list(tmp_path, ["image,mask", "gone/000.png,b/m000.png", "a/x.png,b/m001.png"])
    with pytest.raises(DataError, match=r"list\.csv lists 2 pairs, such as 'gone/000\.png' and"):
        inspect(tmp_path)


def test_a_list_of_all_beside_one_for_each_split_doubles_no_sample(tmp_path):
    lines = [f"a/{number:03}.png b/m{number:03}.png" for number in range(NUMBER)]
    written_list(tmp_path, lines, "all.txt")
    for split in ("train", "val"):
        own = [line for number, line in enumerate(lines) if split_of(number) == split]
        (tmp_path / f"{split}.txt").write_text("\n".join(own))
    assert assert_truth(tmp_path).to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def test_samples_without_a_split_beside_others_with_one_are_drawn_with_a_note(tmp_path):
    rows = [
        f"a/{number:03}.png,b/m{number:03}.png,{'test' if number < 3 else ''}"
        for number in range(NUMBER)
    ]
    written_list(tmp_path, ["image,mask,split", *rows])
    report = inspect(tmp_path)
    assert "splits: 3 as given; the other 9 by hash with seed 0" in report.findings.notes


def test_text_lists_are_read(tmp_path):
    write_pairs(tmp_path, "a/{n}.png", "b/m{n}.png", save_ids)
    for split in ("train", "val"):
        lines = [
            f"a/{number:03}.png b/m{number:03}.png"
            for number in range(NUMBER)
            if split_of(number) == split
        ]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    assert assert_truth(tmp_path).to_json()["splits"] == {"train": 8, "val": 4, "test": 0}


def test_csv_with_columns_is_read(tmp_path, touch, found):
    touch(["x/1.jpg", "y/one.png", "x/2.jpg", "y/two.png"])
    rows = (
        "image,mask,split\nx/1.jpg,y/one.png,train\nx/2.jpg,y/two.png,test\nx/3.jpg,y/3.png,val\n"
    )
    (tmp_path / "list.csv").write_text(rows)
    index, pairs = found()
    assert pairs == {("x/1", "y/one.png", "train"), ("x/2", "y/two.png", "test")}
    assert index.notes == ("list.csv lists x/3.jpg, which does not exist: left out",)


def test_text_lists_name_their_split(tmp_path, touch, found):
    touch(["x/1.jpg", "y/1.png", "x/2.jpg", "y/2.png"])
    (tmp_path / "train.txt").write_text("x/1.jpg y/1.png\n")
    (tmp_path / "val.txt").write_text("x/2.jpg y/2.png\n")
    assert found()[1] == {("x/1", "y/1.png", "train"), ("x/2", "y/2.png", "val")}


@pytest.mark.parametrize("name", ["list.csv", "list.txt"])
def test_a_list_above_a_single_folder_is_not_passed_over(tmp_path, touch, name):
    touch(["files/a.png", "files/b.png"])
    head = "image,mask\n" if name.endswith("csv") else ""
    (tmp_path / name).write_text(f"{head}files/a.png,files/b.png\n")
    index = find_pairs(tmp_path)
    assert [(pair.image.name, pair.mask.name) for pair in index.pairs] == [("a.png", "b.png")]


def test_lists_in_the_folders_of_splits_are_one_reading(tmp_path):
    for split in ("train", "test"):
        write_pairs(tmp_path / split, "img_{n}.png", "seg/{n}x.png", save_ids)
        rows = [f"img_{number:03}.png,seg/{number:03}x.png\n" for number in range(NUMBER)]
        (tmp_path / split / "metadata.csv").write_text("file_name,mask_file_name\n" + "".join(rows))
    index = find_pairs(tmp_path)
    assert {(pair.split, pair.image.parent.name) for pair in index.pairs} == {
        ("train", "train"),
        ("test", "test"),
    }
    assert len(index.pairs) == 2 * NUMBER
    assert set(index.helpers) == {tmp_path / split / "metadata.csv" for split in ("train", "test")}
