"""Every file and every annotation is accounted for, whichever reader reads the folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from maskzoo.models.errors import DataError, SpecError
from maskzoo.training.data.account import failure_json
from maskzoo.training.data.check.writing import write_description
from maskzoo.training.data.find.beside import BESIDE
from maskzoo.training.data.find.layouts import AT_PLACES, DOCUMENTS, FORMATS
from maskzoo.training.data.opening import inspect
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.readings.choice import ChoiceError
from tests.training.data.readers import FORMAT_OF, READERS, coco, mask_files, photos, text

EXTRA = ("notes/readme.txt", "spare.xyz", "model.mat", ".DS_Store", "Thumbs.db", "empty.json")


def test_every_format_has_a_data_set_here() -> None:
    assert set(FORMAT_OF.values()) == {*FORMATS, *(row.name for row in BESIDE)}
    assert set(FORMAT_OF) <= set(READERS)
    assert {*AT_PLACES, *DOCUMENTS} <= set(FORMATS.values())


def choices(root: Path) -> list[str | None]:
    """Return what `--masks` takes for each reading of a folder, None where there is one alone."""
    try:
        inspect(root, deep=False)
    except ChoiceError as error:
        return [choice.name for choice in error.choices]
    return [None]


def assert_sums(root: Path, account: dict[str, object]) -> None:
    files = account["files"]
    assert files["found"] == sum(path.is_file() for path in root.rglob("*"))
    assert files["found"] == sum(files["used"].values()) + sum(
        row["count"] for row in files["left_out"]
    )
    shapes = account["annotations"]
    if shapes is not None:
        assert shapes["found"] == (
            shapes["drawn"] + shapes["covered"] + sum(shapes["not_drawn"].values())
        )


@pytest.mark.parametrize("name", READERS)
def test_the_sums_add_up_for_every_reader(name: str, tmp_path: Path) -> None:
    number = READERS[name](tmp_path)
    for extra in EXTRA:
        (tmp_path / extra).parent.mkdir(exist_ok=True)
        (tmp_path / extra).write_bytes(b"")
    for masks in choices(tmp_path):
        account = inspect(tmp_path, masks=masks, deep=False).to_json()["account"]
        assert_sums(tmp_path, account)
        assert account["files"]["used"]["images"] >= 7
        examples = [name for row in account["files"]["left_out"] for name in row["examples"]]
        assert {*EXTRA} - {"model.mat", "notes/readme.txt"} <= {*examples}
        if number is not None:
            assert account["annotations"]["found"] == number


def rows(report: Inspection) -> dict[str, tuple[object, ...]]:
    return {
        sample.stem: (sample.image, sample.mask, sample.split, facts.mask and facts.mask.counts)
        for sample, facts in report.findings.rows
    }


@pytest.mark.parametrize("name", READERS)
def test_what_inspect_writes_reads_the_same(name: str, tmp_path: Path) -> None:
    READERS[name](tmp_path)
    for masks in choices(tmp_path):
        report = inspect(tmp_path, masks=masks, deep=False)
        file = write_description(report)
        again = inspect(tmp_path, deep=False)
        file.unlink()
        assert rows(again) == rows(report), report.findings.index.origin.yaml()
        lost = again.findings.index.lost
        assert lost == report.findings.index.lost


@pytest.mark.parametrize("name", READERS)
def test_a_failure_accounts_for_every_file_of_every_reader(name: str, tmp_path: Path) -> None:
    READERS[name](tmp_path)
    (tmp_path / "dataset.yaml").write_text("images: nowhere\nmasks: here")
    with pytest.raises((DataError, SpecError)) as caught:
        inspect(tmp_path)
    report = failure_json(tmp_path, caught.value)
    assert_sums(tmp_path, report["account"])
    assert report["account"]["files"]["used"] == {}
    assert report["error"]["message"] == str(caught.value)
    assert report["num_errors"] == 1


def test_renderings_and_lone_files_are_left_out_with_their_reason(tmp_path: Path) -> None:
    mask_files(tmp_path)
    files = inspect(tmp_path, deep=False).to_json()["account"]["files"]
    assert files["used"] == {"images": 8, "masks": 8}
    assert {row["reason"]: row["count"] for row in files["left_out"]} == {
        "colour rendering": 8,
        "no image has this name": 1,
        "no mask has this name": 2,
    }


def test_the_description_in_the_folder_is_no_list_of_class_names_where_another_one_is_read(
    tmp_path: Path,
) -> None:
    READERS["YOLO"](tmp_path / "set")
    other = tmp_path / "elsewhere.yaml"
    other.write_text("name: outside")
    before = inspect(tmp_path / "set", description=other, deep=False).to_json()["account"]["files"]
    (tmp_path / "set/dataset.yaml").write_text("name: inside")
    after = inspect(tmp_path / "set", description=other, deep=False).to_json()["account"]["files"]
    assert after["used"] == before["used"]
    assert after["found"] == before["found"] + 1


def test_images_that_no_json_lists_are_told(tmp_path: Path) -> None:
    coco(tmp_path)
    (tmp_path / "images/raw").mkdir()
    shutil.copy(tmp_path / "images/8.png", tmp_path / "images/raw/9.png")  # of other folders not
    (problem,) = (
        p for p in inspect(tmp_path, deep=False).problems if p.kind == "images-without-mask"
    )
    assert [item.file for item in problem.items] == [tmp_path / "images/8.png"]


def test_what_is_excluded_or_cannot_be_read_is_counted_too(tmp_path: Path) -> None:
    coco(tmp_path)
    whole = inspect(tmp_path, deep=False).to_json()["account"]["annotations"]
    text(tmp_path / "dataset.yaml", "exclude: ['0']")
    text(tmp_path / "images/1.png", "this is no image")
    report = inspect(tmp_path, deep=False).to_json()["account"]
    account = report["annotations"]
    reasons = {row["reason"]: row["examples"] for row in report["files"]["left_out"]}
    assert reasons["excluded in dataset.yaml"] == ["images/0.png"]
    assert account["found"] == whole["found"]
    assert account["not_drawn"]["of images that are excluded"] == 5
    assert account["not_drawn"]["of images or files that cannot be read"] == 1


def test_a_json_that_cannot_be_read_is_a_warning_and_named_where_nothing_else_is(
    tmp_path: Path,
) -> None:
    mask_files(tmp_path / "good")
    text(tmp_path / "good/via.json", '{"a":\n')
    (problem,) = (p for p in inspect(tmp_path / "good").problems if p.kind == "unreadable-document")
    assert problem.severity == "warning"
    assert [(item.file.name, item.detail[:24]) for item in problem.items] == [
        ("via.json", "line 2 is not valid JSON")
    ]
    photos(tmp_path / "bad/images")
    text(tmp_path / "bad/via.json", json.dumps([1, 2])[:-1])
    with pytest.raises(DataError, match=r"via\.json.* line 1 is not valid JSON"):
        inspect(tmp_path / "bad")
