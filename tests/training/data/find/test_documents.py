from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from maskzoo.training.data.check.writing import write_description
from maskzoo.training.data.opening import inspect
from maskzoo.training.data.records.inspection import Inspection
from maskzoo.training.data.records.readings.choice import ChoiceError
from tests.training.data.documents import SQUARE
from tests.training.data.readers import coco_content, photos

EACH = 4  # images of a document


def coco(path: Path, first: int) -> None:
    content = coco_content(range(first, first + EACH))
    content["annotations"] = [row for row in content["annotations"] if "id" not in row][:EACH]
    content["images"] = content["images"][:EACH]
    path.write_text(json.dumps(content))


def via(path: Path, first: int) -> None:
    xs, ys = zip(*SQUARE, strict=True)
    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    region = {"shape_attributes": shape, "region_attributes": {"label": "cat"}}
    rows = {
        str(n): {"filename": f"{n}.png", "size": 1, "regions": [region]}
        for n in range(first, first + EACH)
    }
    path.write_text(json.dumps(rows))


def cvat(path: Path, first: int) -> None:
    polygon = '<polygon label="cat" points="4,2;12,2;12,10;4,10"/>'
    rows = "".join(
        f'<image id="{n}" name="{n}.png" width="32" height="24">{polygon}</image>'
        for n in range(first, first + EACH)
    )
    path.write_text(f"<annotations><version>1.1</version>{rows}</annotations>")


TOOLS = {"coco": (coco, ".json"), "via": (via, ".json"), "cvat": (cvat, ".xml")}
every_tool = pytest.mark.parametrize("tool", TOOLS)


def write(root: Path, tool: str, names: list[str]) -> None:
    writer, suffix = TOOLS[tool]
    for place, name in enumerate(names):
        path = root / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        writer(path, EACH * place)
    photos(root / "images", number=EACH * len(names))


def splits(report: Inspection) -> dict[str, str]:
    return {sample.stem: sample.split for sample in report.findings.samples}


@every_tool
@pytest.mark.parametrize(
    ("names", "meanings"),
    [
        (["fold1", "fold2", "fold3"], ["fold1 fold2 as train, fold3 as val", "splits drawn"]),
        (["set_fold_1", "set_fold_2"], ["fold_1 as train, fold_2 as val", "splits drawn"]),
        (["cv0", "cv1"], ["cv0 as train, cv1 as val", "splits drawn"]),
        (["fold1/a", "fold2/a"], ["fold1 as train, fold2 as val", "splits drawn"]),
        (["private", "public"], ["public as train, private as test", "splits drawn"]),
        (["train", "extra"], ["extra as val", "extra as test", "extra as train"]),
        (["train", "val", "more"], ["more as test", "more as train", "more as val"]),
    ],
)
def test_documents_that_mean_unknown_splits_are_asked_for(tool, names, meanings, tmp_path):
    write(tmp_path, tool, [f"annotations/{name}" for name in names])
    with pytest.raises(ChoiceError) as caught:
        inspect(tmp_path, deep=False)
    choices = [choice.name for choice in caught.value.choices]
    assert [name.rpartition(" (")[2].removesuffix(")") for name in choices] == meanings
    for name in choices:
        report = inspect(tmp_path, masks=name, deep=False)
        file = write_description(report)
        again = inspect(tmp_path, deep=False)
        file.unlink()
        assert splits(again) == splits(report)
        for said in name.rpartition(" (")[2].removesuffix(")").split(", "):
            words, _, split = said.partition(" as ")
            for word in words.split() if split else ():
                place = names.index(next(name for name in names if word in name))
                taken = {splits(report)[str(EACH * place + n)] for n in range(EACH)}
                assert taken <= {split, "val" if split == "train" else split}


@every_tool
@pytest.mark.parametrize(
    ("names", "counts"),
    [
        (["trainset", "valset"], {"train": 4, "val": 4}),
        (["instancesTrain", "instancesVal"], {"train": 4, "val": 4}),
        (["tr", "va", "te"], {"train": 4, "val": 4, "test": 4}),
        (["train", "val", "blind"], {"train": 4, "val": 4, "test": 4}),
    ],
)
def test_documents_whose_splits_leave_no_doubt_are_taken(tool, names, counts, tmp_path):
    write(tmp_path, tool, [f"annotations/{name}" for name in names])
    report = inspect(tmp_path, deep=False)
    assert Counter(splits(report).values()) == counts
    assert "joined-annotations" not in {problem.kind for problem in report.problems}
    write_description(report)
    assert splits(inspect(tmp_path, deep=False)) == splits(report)


@every_tool
@pytest.mark.parametrize(
    "names", [["batch_1", "batch_2", "batch_3"], ["a", "b"], ["sea/x", "lake/x"], ["t1", "t2/x"]]
)
def test_other_documents_are_joined_with_a_warning_that_counts(tool, names, tmp_path):
    if "t1" in names:
        names = ["task_1/annotations", "task_2/annotations"]
    write(tmp_path, tool, names)
    report = inspect(tmp_path, deep=False)
    assert len(report.findings.samples) == EACH * len(names)
    assert set(splits(report).values()) == {"train", "val", "test"}
    (warning,) = [p for p in report.problems if p.kind == "joined-annotations"]
    assert warning.title.startswith(f"{len(names)} files of annotations are joined")
    assert [item.detail for item in warning.items] == ["4 images"] * len(names)
    write_description(report)
    again = inspect(tmp_path, deep=False)
    assert splits(again) == splits(report)
    assert "joined-annotations" not in {problem.kind for problem in again.problems}


@every_tool
def test_another_file_beside_the_folders_hides_no_document(tool, tmp_path):
    write(tmp_path, tool, ["task_1/annotations", "task_2/annotations"])
    (tmp_path / "meta.json").write_text('{"classes": []}')
    (tmp_path / "about.xml").write_text("<about/>")
    assert len(inspect(tmp_path, deep=False).findings.samples) == 2 * EACH


@pytest.mark.parametrize("tool", ["via", "cvat"])
def test_a_document_for_each_of_many_images_is_read_without_a_warning(tool, tmp_path):
    writer, suffix = TOOLS[tool]
    photos(tmp_path / "images", number=20)
    (tmp_path / "annotations").mkdir()
    for place in range(20):
        path = tmp_path / "annotations" / f"{place}{suffix}"
        writer(path, place)
        text = path.read_text()
        for other in range(place + 1, place + EACH):
            text = text.replace(f"{other}.png", "gone.png")
        path.write_text(text)
    report = inspect(tmp_path, deep=False)
    assert len(report.findings.samples) == 20
    assert "joined-annotations" not in {problem.kind for problem in report.problems}


def test_one_document_among_hundreds_of_other_json_files_is_found(tmp_path):
    write(tmp_path, "coco", ["annotations/zzz"])
    for place in range(300):
        (tmp_path / "annotations" / f"{place}.json").write_text('{"shapes": [], "version": "5"}')
    assert len(inspect(tmp_path, deep=False).findings.samples) == EACH
