from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.augment import AugmentConfig, build_augmentation
from maskzoo.training.data.check.overview import choose_samples, draw_overview
from maskzoo.training.data.check.table import report_table
from maskzoo.training.data.check.writing import write_description
from maskzoo.training.data.find.description import read_description
from maskzoo.training.data.masks.described import described_classes
from maskzoo.training.data.opening import accept, inspect, open_dataset
from maskzoo.training.planning.preview import draw_preview


@pytest.fixture
def folder(make_folder, ids):
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    masks = {f"{split}/{n}": ids(0, 1, 1, 255) for n, split in enumerate(splits)}
    return make_folder(masks)


def test_json_says_what_is_there(folder):
    calls = []
    document = inspect(
        folder, on_progress=lambda done, total: calls.append((done, total))
    ).to_json()
    json.dumps(document)
    assert calls == [(number, 12) for number in range(1, 13)]
    assert document["splits"] == {"train": 6, "val": 3, "test": 3}
    assert document["encoding"] == "ids"
    assert [row["fraction"] for row in document["classes"]] == [0.25, 0.5]
    assert document["ignore"] == {"values": ["255"], "fraction": 0.25}
    assert document["sizes"]["smallest"] == "32 x 24"
    assert document["num_errors"] == 0


def test_the_table_names_classes_problems_and_the_next_command(folder):
    text = report_table(inspect(folder))
    assert "class_1" in text
    assert "(ignored)" in text
    assert "warning: few images" in text
    assert f"usable: maskzoo train {folder}" in text


def test_errors_show_in_the_table_with_their_cure(folder, write_picture, ids):
    write_picture(folder / "masks" / "val" / "7.png", ids(0, 1, height=3))
    report = inspect(folder)
    assert report.num_errors == 1
    assert "not usable yet: 1 kind(s) of error" in report_table(report)
    assert 'exclude: ["7"]' in report_table(report)


def test_the_written_description_opens_the_same_data(folder, tmp_path):
    report = inspect(folder)
    for path in (tmp_path / "far" / "away.yaml", folder / "dataset.yaml"):
        write_description(report, path)
        data = open_dataset(path)
        assert data.fingerprint == accept(report).fingerprint
        assert data.labels == accept(report).labels


def test_a_description_is_not_written_over(folder):
    report = inspect(folder)
    write_description(report)
    with pytest.raises(DataError, match=r"dataset\.yaml exists and may hold edits"):
        write_description(report)


def test_a_place_that_cannot_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        write_description(inspect(folder), tmp_path / "file" / "dataset.yaml")


def test_the_written_description_offers_what_to_exclude(folder, write_picture, ids):
    write_picture(folder / "masks" / "val" / "7.png", ids(0, 1, height=3))
    text = write_description(inspect(folder)).read_text()
    assert '#   - "7"' in text
    edited = text.replace("exclude: []\n", "").replace("# exclude:", "exclude:")
    (folder / "dataset.yaml").write_text(edited.replace('#   - "7"', '  - "7"'))
    assert read_description(folder / "dataset.yaml").exclude == ("7",)
    assert inspect(folder).num_errors == 0


def test_ranges_survive_writing(folder):
    (folder / "dataset.yaml").write_text(
        'encoding: values\nclasses: [{name: a, values: [0]}, {name: b, values: ["1-9", 11]}]\n'
        'ignore: ["200-255"]\nsplits: {seed: 3, group: "^(.)"}\nbackground: a\n'
    )
    before = read_description(folder / "dataset.yaml")
    write_description(inspect(folder), overwrite=True)
    after = read_description(folder / "dataset.yaml")
    assert described_classes(after) == described_classes(before)
    assert after.background == "a"


def test_seeded_splits_are_written(make_folder, ids):
    root = make_folder({f"m{number}": ids(0, 1) for number in range(20)})
    report = inspect(root, seed=5)
    assert "splits: {seed: 5, fractions: {train: 0.7" in write_description(report).read_text()
    assert open_dataset(root).fingerprint == accept(report).fingerprint


def test_the_picture_is_drawn_even_with_a_bad_file(folder, tmp_path):
    (folder / "images" / "val" / "7.png").write_bytes(b"no picture")
    path = draw_overview(inspect(folder), tmp_path / "out" / "look.png")
    pixels = np.asarray(Image.open(path).convert("RGB"))
    assert pixels.shape[1] == 1500
    assert pixels.std() > 10


def test_the_twelve_samples_show_every_class(make_folder, ids):
    masks = {f"train/{number:02d}": ids(0, 1) for number in range(30)}
    masks["train/17"] = ids(0, 2)
    masks["val/30"] = ids(0, 3)
    findings = inspect(make_folder(masks)).findings
    stems = {findings.samples[place].stem for place in choose_samples(findings, 12)}
    assert len(stems) == 12
    assert {"17", "30"} <= stems


@pytest.mark.slow
@pytest.mark.parametrize(("name", "warnings"), [("nuclei", 1), ("aerial", 1), ("camvid", 1)])
def test_real_data_is_usable_as_it_is(shared, tmp_path, name, warnings):
    report = inspect(shared / "data" / name)
    assert report.num_errors == 0
    assert len(report.problems) == warnings
    draw_overview(report, tmp_path / "picture.png")
    written = open_dataset(write_description(report, tmp_path / "dataset.yaml"))
    assert written.fingerprint == accept(report).fingerprint


def test_the_preview_shows_what_training_sees(folder, tmp_path):
    augmentation = build_augmentation(
        AugmentConfig(rare_class_crops=0, flip_vertical=0, rotate90=0.5), crop=(16, 24)
    )
    path = tmp_path / "preview.png"
    written = []
    for _ in range(2):
        draw_preview(open_dataset(folder), augmentation, path, num_samples=1, num_draws=1)
        written.append(path.read_bytes())
    assert written[0] == written[1]
    assert np.asarray(Image.open(path).convert("RGB")).std() > 10


def test_masks_of_which_none_can_be_read_are_told_with_the_reasons(tmp_path, write_picture, photo):
    (tmp_path / "masks").mkdir()
    for number in range(5):
        write_picture(tmp_path / "images" / f"{number}.png", photo(number, 40, 40))
        (tmp_path / "masks" / f"{number}.png").write_text("no picture")
    with pytest.raises(DataError, match=r"none of the 5 masks.*masks/0\.png: .*; and 2 more"):
        inspect(tmp_path)
