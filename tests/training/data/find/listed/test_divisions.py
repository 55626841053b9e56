"""Lists of splits in every form that people and programs write: read right, or an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.listing import Listing
from maskzoo.training.data.find.listed.divisions import with_split_lists
from maskzoo.training.data.opening import inspect
from tests.training.data.reading import find_pairs
from tests.training.data.truth import NUMBER, assert_truth, save_ids, split_of, write_pairs

NUMBERS = range(NUMBER)
AS_GIVEN = {"train": 8, "val": 4, "test": 0}


def folders(root: Path, stem: str = "{n}", suffix: str = ".png") -> None:
    """Write images and masks in two folders, without splits."""
    write_pairs(root, f"images/{stem}{suffix}", f"masks/{stem}.png", save_ids)


def two_lists(root: Path, line: str, *, folder: str = ".", name: str = "{split}.txt") -> None:
    """Write a list of train and one of val."""
    for split in ("train", "val"):
        lines = [line.format(n=f"{n:03}") for n in NUMBERS if split_of(n) == split]
        file = root / folder / name.format(split=split)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")


def table(root: Path, head: str, line: str, *, name: str, encoding: str = "utf-8") -> None:
    """Write one table of all samples; `head` may be several lines."""
    lines = [line.format(n=f"{n:03}", split=split_of(n)) for n in NUMBERS]
    (root / name).write_bytes("\n".join([head, *lines]).lstrip("\n").encode(encoding))


@pytest.mark.parametrize(
    "line",
    [
        "{n}",
        "{n}.png",
        "images/{n}.png",
        "images/{n}",
        "./images/{n}.png",
        "masks/{n}.png",
        "C:\\data\\set\\images\\{n}.png",
        "/home/someone/data/images/{n}.png",
        "{n} 1 1 2",
        '"{n}"',
        "{n}\n",
        "{n}\n{n}",
        "# a comment\n{n}",
    ],
)
def test_lists_of_names_give_the_splits(tmp_path, line):
    folders(tmp_path)
    two_lists(tmp_path, line)
    report = assert_truth(tmp_path)
    assert report.to_json()["splits"] == AS_GIVEN
    splits = {sample.stem: sample.split for sample in report.findings.samples}
    assert splits == {f"{n:03}": split_of(n) for n in NUMBERS}
    assert "splits: from train.txt, val.txt" in report.findings.notes


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        (".", "{split}.csv"),
        (".", "{split}_list.txt"),
        (".", "{split}ids.lst"),
        ("splits", "{split}.txt"),
        ("ImageSets/Segmentation", "{split}.txt"),
        ("annotations", "{split}_files.txt"),
    ],
)
def test_lists_of_names_are_found_where_they_usually_lie(tmp_path, folder, name):
    folders(tmp_path)
    name = name.replace("ids", "_ids")
    two_lists(tmp_path, "{n}", folder=folder, name=name)
    assert assert_truth(tmp_path).to_json()["splits"] == AS_GIVEN


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".tif"])
def test_names_may_hold_spaces_and_suffixes_of_any_case(tmp_path, suffix):
    folders(tmp_path, "field {n} left", suffix)
    two_lists(tmp_path, f"field {{n}} left{suffix}")
    assert inspect(tmp_path).to_json()["splits"] == AS_GIVEN


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_lists_may_be_in_the_encodings_of_other_programs(tmp_path, encoding):
    folders(tmp_path, "früh{n}")
    table(tmp_path, "id,split", "früh{n},{split}", name="splits.csv", encoding=encoding)
    assert assert_truth(tmp_path).to_json()["splits"] == AS_GIVEN


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("id,split", "{n},{split}"),
        ("sep=;\nid;split", "{n};{split}"),
        ('"sep=,"\nid,split', "{n},{split}"),
        ("Image ID\tSubset", "{n}\t{split}"),
        ("filename,phase", "{n}.png,{split}"),
        ("fileName,imageSet", '"{n}.png","{split}"'),
        ("width,height,name,set", "64,48,{n}.png,{split}"),
        ("", "{n},{split}"),
        ("", "{split};{n}.png"),
        ("id,fold,split", "{n},3,{split}"),
        ("id,split,label", "{n},{split},cat"),
    ],
)
def test_tables_with_a_column_of_splits_give_the_splits(tmp_path, head, line):
    folders(tmp_path)
    table(tmp_path, head, line, name="metadata.csv")
    assert assert_truth(tmp_path).to_json()["splits"] == AS_GIVEN


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("image,mask,split", "a/{n}.png,b/m{n}.png,{split}"),
        ("filename,label,split", "a/{n}.png,b/m{n}.png,{split}"),
        ("path_img,path_mask,split", "a/{n}.png,b/m{n}.png,{split}"),
        ("img,annotation,subset", "a/{n}.png,b/m{n}.png,{split}"),
        ("split;mask_path;image_path", "{split};b/m{n}.png;a/{n}.png"),
        ("image_id,split,tiff_image_path,tif_label_path", "{n},{split},a/{n}.png,b/m{n}.png"),
        ("foto,maske,split", "a/{n}.png,b/m{n}.png,{split}"),
        ("", "a/{n}.png,b/m{n}.png,{split}"),
        ("# made by us\n", "a/{n}.png;b/m{n}.png;{split}"),
        ("sep=;\nimage;mask;split", "a/{n}.png;b/m{n}.png;{split}"),
        ("image,mask,split", "D:\\x\\a\\{n}.png,D:\\x\\b\\m{n}.png,{split}"),
        ("image,mask,split", "/mnt/disk/a/{n}.png,/mnt/disk/b/m{n}.png,{split}"),
        ("image,mask,split", '"a/{n}.png","b/m{n}.png","{split}"'),
        ("image,mask,split", "a/{n}.png,b/m{n}.png,{split}\n\na/{n}.png,b/m{n}.png,{split}"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_of_pairs_are_read_with_their_splits(tmp_path, head, line, encoding):
    write_pairs(tmp_path, "a/{n}.png", "b/m{n}.png", save_ids)
    table(tmp_path, head, line, name="list.csv", encoding=encoding)
    assert inspect(tmp_path).to_json()["splits"] == AS_GIVEN
    pairs = {sample.image.stem: sample.mask.stem for sample in inspect(tmp_path).findings.samples}
    assert pairs == {f"{n:03}": f"m{n:03}" for n in NUMBERS}


@pytest.mark.parametrize(
    "line",
    [
        "a/my {n}.png b/my m{n}.png",
        '"a/my {n}.png" "b/my m{n}.png"',
        "a/my {n}.png,b/my m{n}.png",
        "a/my {n}.png\tb/my m{n}.png",
        "/set/a/my {n}.png /set/b/my m{n}.png",
    ],
)
def test_text_lists_of_pairs_may_name_files_with_spaces(tmp_path, line):
    write_pairs(tmp_path, "a/my {n}.png", "b/my m{n}.png", save_ids)
    two_lists(tmp_path, line)
    assert assert_truth(tmp_path).to_json()["splits"] == AS_GIVEN


def test_a_json_of_names_by_split_is_read(tmp_path):
    folders(tmp_path)
    names = {
        split: [f"{n:03}" for n in NUMBERS if split_of(n) == split] for split in ("train", "val")
    }
    (tmp_path / "splits.json").write_text(json.dumps(names))
    assert assert_truth(tmp_path).to_json()["splits"] == AS_GIVEN


def test_a_list_of_train_and_val_together_leaves_the_list_of_test_alone(tmp_path):
    folders(tmp_path)
    (tmp_path / "trainval.txt").write_text("\n".join(f"{n:03}" for n in NUMBERS[:9]))
    (tmp_path / "test.txt").write_text("\n".join(f"{n:03}" for n in NUMBERS[9:]))
    report = assert_truth(tmp_path)
    test = {sample.stem for sample in report.findings.samples if sample.split == "test"}
    assert test == {f"{n:03}" for n in NUMBERS[9:]}
    assert report.to_json()["splits"]["val"] >= 1


def test_lists_of_train_and_val_stand_beside_one_of_both(tmp_path):
    folders(tmp_path)
    two_lists(tmp_path, "{n}")
    (tmp_path / "trainval.txt").write_text("\n".join(f"{n:03}" for n in NUMBERS))
    assert assert_truth(tmp_path).to_json()["splits"] == AS_GIVEN


def test_what_no_list_names_is_train_if_only_val_is_listed(tmp_path):
    folders(tmp_path)
    (tmp_path / "val.txt").write_text("003\n007\n")
    assert assert_truth(tmp_path).to_json()["splits"] == {"train": 10, "val": 2, "test": 0}


def test_what_no_list_names_is_left_out_and_accounted_for(tmp_path):
    folders(tmp_path)
    (tmp_path / "train.txt").write_text("\n".join(f"{n:03}" for n in NUMBERS[:8]))
    (tmp_path / "val.txt").write_text("008\n009\ngone\n")
    report = inspect(tmp_path)
    assert report.to_json()["splits"] == {"train": 8, "val": 2, "test": 0}
    notes = report.findings.notes
    assert "2 images are in none of these lists: left out" in notes
    assert "val.txt names 1 image that is not there, such as 'gone'" in notes
    left = report.to_json()["account"]["files"]["left_out"]
    assert {"in none of the lists train.txt, val.txt": 4}.items() <= {
        row["reason"]: row["count"] for row in left
    }.items()
    assert report.to_json()["account"]["files"]["used"]["lists"] == 2


def test_a_list_of_images_without_masks_is_told_and_divides_nothing(tmp_path):
    folders(tmp_path)
    (tmp_path / "unseen").mkdir()
    for name in ("x1", "x2"):
        (tmp_path / "unseen" / f"{name}.png").write_bytes(
            (tmp_path / "images" / "000.png").read_bytes()
        )
    (tmp_path / "test.csv").write_text("id,angle\nx1,3\nx2,4\n")
    notes = inspect(tmp_path).findings.notes
    assert "test.csv names 2 images without a mask, such as 'x1', 'x2': left out" in notes
    assert "by hash with seed 0" in " ".join(notes)


def test_a_list_stands_over_the_names_of_folders(tmp_path):
    write_pairs(tmp_path, "images/train/{n}.png", "masks/train/{n}.png", save_ids)
    two_lists(tmp_path, "{n}")
    report = assert_truth(tmp_path)
    assert report.to_json()["splits"] == AS_GIVEN
    assert any(note.startswith("4 images are in another split") for note in report.findings.notes)


def test_a_description_of_the_splits_stands_over_lists(tmp_path):
    folders(tmp_path)
    (tmp_path / "train.txt").write_text("gone\n")
    (tmp_path / "dataset.yaml").write_text("splits: {seed: 1}\n")
    assert "splits: train, val and test by hash with seed 1" in " ".join(
        inspect(tmp_path).findings.notes
    )


def unknown_names(root: Path) -> None:
    two_lists(root, "elsewhere_{n}")


def in_gbk(root: Path) -> None:
    (root / "train.txt").write_bytes("\n".join(f"图像{n}" for n in NUMBERS).encode("gbk"))


def in_two_splits(root: Path) -> None:
    two_lists(root, "{n}")
    (root / "test.txt").write_text("000\n")


def in_two_rows(root: Path) -> None:
    table(root, "id,split", "{n},{split}\n000,test", name="splits.csv")


def of_folds(root: Path) -> None:
    table(root, "img,fold", "{n},1", name="folds.csv")


def of_other_words(root: Path) -> None:
    table(root, "id,split", "{n},good", name="splits.csv")


def train_alone(root: Path) -> None:
    (root / "train.txt").write_text("000\n001\n002\n")


def a_spreadsheet(root: Path) -> None:
    (root / "train.xlsx").write_bytes(b"PK")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (
            unknown_names,
            r"train\.txt looks like a list of splits, and none of its 8 names, such as",
        ),
        (in_gbk, r"train\.txt: line 1 is not UTF-8; the file seems to be in GBK"),
        (in_two_splits, r"000\.png is in test by test\.txt and in train by train\.txt"),
        (in_two_rows, r"000 is in train by splits\.csv and in test by splits\.csv"),
        (of_folds, r"folds\.csv puts 000 into the split '1'; a run trains on one division"),
        (of_other_words, r"splits\.csv puts 000 into the split 'good'; use train, val, test"),
        (train_alone, r"names the 3 images of train, and nothing says which of the other 9"),
        (a_spreadsheet, r"train\.xlsx is a spreadsheet, which is not read here: save it as CSV"),
    ],
)
def test_a_list_that_is_not_understood_stops_and_no_split_is_drawn(
    tmp_path: Path, write: Callable[[Path], None], message: str
) -> None:
    folders(tmp_path)
    write(tmp_path)
    with pytest.raises(DataError, match=message):
        inspect(tmp_path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.txt", "train on the images of train/\nthen test\n"),
        ("license.txt", "CC0"),
        ("train_masks.csv", "img,rle_mask\n000.png,1 3 10 5\n"),  # Carvana's
        ("classes.txt", "ground\nsquare\ndisc\n"),
        ("data.csv", "patient,age\n000,64\n001,32\n"),
        ("log.csv", "epoch,loss\n1,0.5\n2,0.25\n"),
    ],
)
def test_files_of_other_kinds_divide_nothing(tmp_path, name, content):
    folders(tmp_path)
    (tmp_path / name).write_text(content)
    assert "by hash with seed 0" in " ".join(inspect(tmp_path).findings.notes)


def test_a_list_may_name_the_folders_of_films(tmp_path, touch):
    """As DAVIS does: JPEGImages/480p/bear/00000.jpg, and `bear` in ImageSets/2017/train.txt."""
    films = {"bear": "train", "boat": "train", "cow": "val"}
    for film in films:
        frames = [f"{film}/0000{number}" for number in range(3)]
        touch([f"JPEGImages/480p/{frame}.jpg" for frame in frames])
        touch([f"Annotations/480p/{frame}.png" for frame in frames])
    lists = tmp_path / "ImageSets" / "2017"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("bear\nboat\n")
    (lists / "val.txt").write_text("cow\n")
    pairs = with_split_lists(Listing.of(tmp_path), find_pairs(tmp_path)).pairs
    assert len(pairs) == 9
    assert all(pair.split == films[pair.image.parent.name] for pair in pairs)
