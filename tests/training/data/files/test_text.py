from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.files import text
from maskzoo.training.data.files.text import read_json, read_text, read_yaml
from maskzoo.training.data.find.described.description import read_description
from maskzoo.training.data.find.splits import read_split_file
from maskzoo.training.data.masks.lists.classlists import read_class_lists

TEXT = "straße,été,道路\nnächste Zeile"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_every_unicode_encoding_is_read_without_its_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(TEXT.encode(encoding))
    assert read_text(path) == TEXT


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_known_by_its_zeros(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("image,mask\n1.png,1é.png".encode(encoding))
    assert read_text(path) == "image,mask\n1.png,1é.png"


def test_single_western_letters_in_a_list_are_read(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes("image;mask\nété.jpg;été.png\n".encode("cp1252"))
    assert read_text(path, western=True) == "image;mask\nété.jpg;été.png\n"


def test_western_letters_in_json_are_an_error_that_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{\n"label": "été"}'.encode("cp1252"))
    with pytest.raises(DataError, match=r"a\.json: line 2 is not UTF-8.*Windows-1252.*as UTF-8"):
        read_json(path)


@pytest.mark.parametrize(
    ("encoding", "word", "name"),
    [
        ("gbk", "汽车 道路 建筑", "GBK"),
        ("cp932", "くるま と ミチ", "Shift-JIS"),
        ("cp949", "자동차 도로 건물", "EUC-KR"),
        ("cp1251", "дорога", "Windows-1251"),
    ],
)
def test_another_encoding_is_told_by_its_name(
    tmp_path: Path, encoding: str, word: str, name: str
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(json.dumps({"label": word}, ensure_ascii=False).encode(encoding))
    with pytest.raises(DataError, match=name):
        read_text(path, western=True)


def test_damaged_utf_16_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xff\xfea\x00\x00\xd8")
    with pytest.raises(DataError, match="damaged: it is not UTF-16-LE"):
        read_text(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ('{"a": 1,\n"b" 2}', r"line 2 is not valid JSON \(Expecting ':' delimiter\)"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_damaged_json_is_told_with_its_file(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_damaged_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("names:\n\t- cat\n")
    with pytest.raises(DataError, match=r"data\.yaml: line 2 is not valid YAML"):
        read_yaml(path)


def test_json_and_yaml_with_a_mark_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": "é"}', encoding="utf-8-sig")
    (tmp_path / "a.yaml").write_text("names: [é]", encoding="utf-16")
    assert read_json(tmp_path / "a.json") == {"a": "é"}
    assert read_yaml(tmp_path / "a.yaml") == {"names": ["é"]}


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_text(tmp_path / "none.txt")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_class_lists_split_files_and_dataset_yaml_are_read_so(tmp_path: Path, encoding: str):
    (tmp_path / "classes.csv").write_bytes("name,r,g,b\nsky,0,0,255\nsol,9,8,7\n".encode(encoding))
    (listed,) = read_class_lists(tmp_path)
    assert listed.names == {0x0000FF: "sky", 0x090807: "sol"}
    splits = tmp_path / "splits.txt"
    splits.write_bytes("stem,split\né,train\nb,test\n".encode(encoding))
    assert read_split_file(splits) == {"é": "train", "b": "test"}
    described = tmp_path / "dataset.yaml"
    described.write_bytes("name: straße\n".encode(encoding))
    assert read_description(described).name == "straße"


def test_no_other_module_of_the_data_decodes_text():
    """Else byte order marks and encodings are read in one format and not in the next."""
    package = Path(text.__file__).parents[1]
    pattern = re.compile(r"\.read_text\(|open\([^)]*encoding=|json\.load\(|safe_load\(")
    found = [
        str(file.relative_to(package))
        for file in sorted(package.rglob("*.py"))
        if file.parent.name != "files" and pattern.search(file.read_text(encoding="utf-8"))
    ]
    assert found == []
