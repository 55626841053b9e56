from __future__ import annotations

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.drawing.painter import paint
from maskzoo.training.data.opening import inspect, open_dataset
from maskzoo.training.data.shapes.yolo import YoloPolygons
from tests.training.data.documents import (
    SQUARE,
    square_mask,
)
from tests.training.data.shapes.annotated import write_images
from tests.training.data.truth import (
    assert_truth,
    strips,
    write_pairs,
)


def test_yolo_is_drawn_with_the_names_of_its_own_file(images):
    (images / "labels").mkdir()
    scaled = " ".join(f"{x / 32} {y / 24}" for x, y in SQUARE)
    for number in range(6):
        (images / "labels" / f"{number}.txt").write_text(f"0 {scaled}\n")
    (images / "data.yaml").write_text("names: {0: dog, 1: cat}\ntrain: images\n")
    data = open_dataset(images)
    assert data.labels.names == ("background", "dog", "cat")
    assert np.array_equal(data.read(data.all_samples[0])[1], square_mask())


def write_yolo(images, ids, data):
    (images / "labels").mkdir()
    scaled = " ".join(f"{x / 32} {y / 24}" for x, y in SQUARE)
    for number in range(6):
        (images / "labels" / f"{number}.txt").write_text(f"{ids[number % len(ids)]} {scaled}\n")
    (images / "data.yaml").write_text(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("names: {0: cat, 2: dog}\n", ("background", "cat", "class_1", "dog")),
        ("names: {'2': dog, '0': cat, 1: cow}\n", ("background", "cat", "cow", "dog")),
        ("names: {0: cat, '1': cow, 2: dog}\n", ("background", "cat", "cow", "dog")),
    ],
)
def test_names_stay_with_their_ids_over_gaps_and_quoted_keys(images, data, expected):
    write_yolo(images, [0, 2], data)
    assert open_dataset(images).labels.names == expected


def test_the_eleventh_name_comes_after_the_tenth_though_keys_are_quoted(images):
    names = "".join(f"  '{number}': name{number}\n" for number in range(12))
    write_yolo(images, [0, 10], f"names:\n{names}")
    expected = ("background", *(f"name{number}" for number in range(12)))
    assert open_dataset(images).labels.names == expected


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            "names: [cat, cat]\n",
            r"data\.yaml: the class name 'cat' stands for several ids \(0, 1\)",
        ),
        ("names: {cat: 0}\n", r"data\.yaml: 'cat' in `names` is not an id of its own"),
        ("names: {0: cat, '0': dog}\n", r"data\.yaml: '0' in `names` is not an id of its own"),
        ("names: {999999999: cat}\n", r"is not an id of its own from 0 to 252"),
        ("names: [a, b\n\tnc: 2\n", r"data\.yaml"),
    ],
)
def test_names_that_cannot_be_those_of_ids_are_an_error_with_the_file(images, data, reason):
    write_yolo(images, [0], data)
    with pytest.raises(DataError, match=reason):
        open_dataset(images)


def read_lines(folder, *lines, names=("dog", "cat")):
    file = folder / "0.txt"
    file.write_text("\n".join(lines))
    return paint(YoloPolygons(names).read(folder / "0.png", file), names, (24, 32))


def test_lines_that_are_no_polygons_are_counted_by_kind(tmp_path):
    raw = read_lines(
        tmp_path,
        "0 0.1 0.1 0.9 0.1 0.9 0.9",
        "1 0.5 0.5 0.2 0.2",
        "1 0.5 0.5 0.2 0.2",
        "-1 0.1 0.1 0.9 0.1 0.9 0.9",
        "1 0.1 0.1 0.9 0.1 0.9 0.9 0.87",
        "1 10 10 30 10 30 20",
        "1 0.1 0.1 0.9 0.1 0.9 1.04",
        "1 a b",
        "",
    )
    assert (raw.tally.found, raw.tally.drawn, raw.tally.covered) == (8, 2, 0)
    assert raw.tally.not_drawn == {
        "boxes without an outline": 2,
        "of a negative class": 1,
        "with an odd number of coordinates (a confidence at the end?)": 1,
        "with coordinates that are no fractions from 0 to 1 (pixels?)": 1,
        "damaged (a line is a class and points, all numbers)": 1,
    }
    assert raw.tally.examples[0].startswith("0.txt, line 2 ('1 0.5 0.5 0.2 0.2'): boxes")
    assert len(raw.tally.damaged) == 1


def test_boxes_alone_are_refused_in_words(images):
    (images / "labels").mkdir()
    for number in range(6):
        (images / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(DataError, match="6 boxes without an outline") as caught:
        open_dataset(images)
    assert "boxes alone do not tell" in str(caught.value)


def test_yolo_text_is_read(tmp_path):
    def write(path, mask, number):
        lines = [
            f"{label - 1} " + " ".join(f"{value:.6f}" for value in (ring / (64, 48)).ravel())
            for label, rings in strips(number)
            for ring in rings
        ]
        path.write_text("\n".join(lines))

    write_pairs(tmp_path, "images/{split}/{n}.png", "labels/{split}/{n}.txt", write)
    (tmp_path / "data.yaml").write_text("names: [box, disc]\ntrain: images/train\n")
    assert_truth(tmp_path)


def test_the_list_of_classes_among_the_labels_is_no_label_without_an_image(tmp_path):
    write_images(tmp_path / "images")
    (tmp_path / "labels").mkdir()
    for number in range(6):
        (tmp_path / f"labels/{number}.txt").write_text("0 0.1 0.1 0.4 0.1 0.4 0.4\n")
    (tmp_path / "labels/classes.txt").write_text("cat\ndog\n")
    report = inspect(tmp_path)
    assert "masks-without-image" not in {problem.kind for problem in report.problems}
    assert report.to_json()["account"]["files"]["used"]["class names"] == 1


def test_a_class_beyond_the_names_is_counted_and_an_empty_line_of_names_keeps_its_id(tmp_path):
    write_images(tmp_path / "images")
    (tmp_path / "labels").mkdir()
    for number in range(6):
        lines = [f"{label} 0.1 0.{label}1 0.4 0.{label}1 0.4 0.{label}9\n" for label in (0, 2, 3)]
        (tmp_path / f"labels/{number}.txt").write_text("".join(lines))
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfcat\r\n\r\ndog\r\n\r\n")
    report = inspect(tmp_path).to_json()
    assert [row["name"] for row in report["classes"]] == ["background", "cat", "class_1", "dog"]
    assert [row["images"] > 0 for row in report["classes"]] == [True, True, False, True]
    (title,) = [row["title"] for row in report["problems"] if "not drawn" in row["title"]]
    assert title == (
        "6 of 18 annotations are not drawn: 6 of a class beyond the 3 that have a name"
    )


def test_text_of_numbers_beside_images_that_is_no_label_is_no_fault_of_the_reader(tmp_path):
    write_images(tmp_path / "images")
    (tmp_path / "labels").mkdir()
    for number in range(6):
        (tmp_path / f"labels/{number}.txt").write_text("0 0.1 0.1 0.4 0.1 0.4 0.4\n")
    (tmp_path / "labels/0.layers.txt").write_text("9 9 9 9 9 9 9\n")
    assert inspect(tmp_path).findings.samples


def test_arrays_of_numbers_are_no_outlines(tmp_path):
    write_images(tmp_path / "images")
    (tmp_path / "labels").mkdir()
    for number in range(6):
        rows = "\n".join(" ".join(["1"] * 33) for _ in range(24))
        (tmp_path / f"labels/{number}.regions.txt").write_text(rows)
    with pytest.raises(DataError, match="Stanford background"):
        inspect(tmp_path)
