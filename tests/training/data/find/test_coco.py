from __future__ import annotations

import json

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.opening import inspect, open_dataset
from maskzoo.training.data.records.readings.choice import ChoiceError
from tests.training.data.documents import coco_document, column_labels
from tests.training.data.truth import (
    NUMBER,
    assert_truth,
    photo_of,
    save,
    split_of,
    strips,
)


def test_coco_json_is_read(tmp_path):
    for split in ("train", "val"):
        numbers = [number for number in range(NUMBER) if split_of(number) == split]
        content = {
            "images": [
                {"id": n, "file_name": f"{n:03}.png", "height": 48, "width": 64} for n in numbers
            ],
            "categories": [{"id": 3, "name": "box"}, {"id": 7, "name": "disc"}],
            "annotations": [],
        }
        for number in numbers:
            save(tmp_path / split / f"{number:03}.png", photo_of(number))
            for label, rings in strips(number):
                row = {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": (3, 7)[label - 1],
                    "segmentation": [ring.ravel().tolist() for ring in rings],
                    "area": len(rings),
                }
                content["annotations"].append(row)
        folder = tmp_path / "annotations"
        folder.mkdir(exist_ok=True)
        (folder / f"instances_{split}.json").write_text(json.dumps(content))
    report = assert_truth(tmp_path)
    assert [row["name"] for row in report.to_json()["classes"]] == ["background", "box", "disc"]


def test_coco_splits_may_use_the_same_file_names_and_other_ids(tmp_path):
    for split, (cat, dog), drawn in (("train", (1, 2), (1, 2)), ("valid", (9, 5), (9, 9))):
        for number in range(2):
            save(tmp_path / split / f"{number}.png", photo_of(number + 2 * (split == "valid")))
        rows = [("0.png", drawn), ("1.png", ())]
        names = [{"id": cat, "name": "cat"}, {"id": dog, "name": "dog"}]
        (tmp_path / split / "_annotations.coco.json").write_text(coco_document(rows, names))
    data = open_dataset(tmp_path)
    assert data.labels.names == ("background", "cat", "dog")
    assert column_labels(data) == {
        "train/0": [1, 2, 0, 0, 0, 0, 0, 0],
        "train/1": [0] * 8,
        "val/0": [1, 1, 0, 0, 0, 0, 0, 0],
        "val/1": [0] * 8,
    }


def test_jsons_of_the_same_images_are_a_choice_and_may_be_joined(tmp_path):
    folder = tmp_path / "annotations"
    folder.mkdir()
    for number in range(8):
        save(tmp_path / "train2017" / f"{number}.png", photo_of(number))
    names = [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}]
    for kind, drawn, known in (("instances", (2,), names), ("person_keypoints", (1,), names[:1])):
        rows = [(f"{number}.png", drawn) for number in range(8)]
        (folder / f"{kind}_train2017.json").write_text(coco_document(rows, known))
    with pytest.raises(ChoiceError) as caught:
        inspect(tmp_path)
    names = [choice.name for choice in caught.value.choices]
    assert names[0] == "join"
    assert names[1:] == [
        f"annotations/{kind}_train2017.json" for kind in ("instances", "person_keypoints")
    ]
    data = open_dataset(tmp_path, masks="join")
    assert len(data.all_samples) == 8
    assert data.labels.names == ("background", "person", "car")


def test_outlines_of_skeletons_are_left_out_where_the_instances_are_there(tmp_path):
    for number in range(8):
        save(tmp_path / "train2017" / f"{number}.png", photo_of(number))
    rows = [(f"{number}.png", (1,)) for number in range(8)]
    (tmp_path / "annotations").mkdir()
    for kind, keys in (("instances", {}), ("person_keypoints", {"keypoints": ["nose"]})):
        known = [{"id": 1, "name": "person", **keys}]
        text = coco_document(rows, known)
        (tmp_path / f"annotations/{kind}_train2017.json").write_text(text)
    report = inspect(tmp_path)
    assert report.findings.index.layout == "COCO json (instances_train2017.json)"
    assert {row["reason"] for row in report.to_json()["account"]["files"]["left_out"]} == {
        "keypoints of persons"
    }


def test_a_json_of_all_images_beside_those_of_the_splits_draws_nothing_twice(tmp_path):
    for number in range(8):
        save(tmp_path / "images" / f"{number}.png", photo_of(number))
    rows = [(f"{number}.png", (1,)) for number in range(8)]
    known = [{"id": 1, "name": "cat"}]
    for name, part in (("train", rows[:5]), ("val", rows[5:]), ("everything", rows)):
        (tmp_path / f"{name}.json").write_text(coco_document(part, known))
    with pytest.raises(ChoiceError) as caught:
        inspect(tmp_path)
    assert [choice.name for choice in caught.value.choices] == [
        "everything.json",
        "train.json, val.json",
    ]


def test_a_coco_category_that_only_names_a_group_is_not_a_class_and_a_note_says_so(tmp_path):
    names = [
        {"id": 0, "name": "cells", "supercategory": "none"},
        {"id": 1, "name": "nucleus", "supercategory": "cells"},
        {"id": 2, "name": "wall", "supercategory": "cells"},
    ]
    for number in range(8):
        save(tmp_path / f"{number}.png", photo_of(number))
    rows = [(f"{number}.png", (1,)) for number in range(8)]
    (tmp_path / "all.json").write_text(coco_document(rows, names))
    report = inspect(tmp_path)
    assert report.findings.interpretation.labels.names == ("background", "nucleus", "wall")
    assert any("'cells' has no shape" in note for note in report.findings.notes)


def test_a_coco_category_without_shapes_in_one_split_is_not_a_group(tmp_path):
    names = [
        {"id": 1, "name": "person", "supercategory": "person"},
        {"id": 2, "name": "animal", "supercategory": "none"},
        {"id": 3, "name": "dog", "supercategory": "animal"},
    ]
    for split, drawn in (("train", (3,)), ("valid", (2, 3))):
        for number in range(2):
            save(tmp_path / split / f"{number}.png", photo_of(number + 2 * (split == "valid")))
        rows = [("0.png", drawn), ("1.png", drawn)]
        (tmp_path / split / "_annotations.coco.json").write_text(coco_document(rows, names))
    report = inspect(tmp_path)
    assert report.findings.interpretation.labels.names == ("background", "person", "animal", "dog")
    assert not any("group" in note for note in report.findings.notes)


def test_a_coco_file_name_that_two_images_have_is_an_error_with_both(tmp_path):
    for folder in ("a", "b"):
        save(tmp_path / folder / "0.png", photo_of(0))
    document = coco_document([("0.png", (1,))], [{"id": 1, "name": "cat"}])
    (tmp_path / "all.json").write_text(document)
    with pytest.raises(DataError, match=r"all\.json lists '0\.png', which may be a/0\.png or b/"):
        inspect(tmp_path)
    (tmp_path / "all.json").write_text(document.replace('"0.png"', '"b/0.png"'))
    assert [str(s.image) for s in inspect(tmp_path).findings.samples] == [str(tmp_path / "b/0.png")]


def test_two_images_of_one_id_are_an_error_with_both(tmp_path):
    rows = [
        {"id": number, "file_name": f"{number}.png", "height": 48, "width": 64}
        for number in range(4)
    ]
    rows[3]["id"] = "2"
    for number in range(4):
        save(tmp_path / f"{number}.png", photo_of(number))
    categories = [{"id": 1, "name": "cat"}]
    content = {"images": rows, "annotations": [], "categories": categories}
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"annotations.json: '2.png' and '3.png' have the same id"):
        inspect(tmp_path)
