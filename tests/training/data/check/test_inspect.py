from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from maskzoo.models.errors import DataError
from maskzoo.training.augment import AugmentConfig, build_augmentation
from maskzoo.training.data.check.inspect import inspect
from maskzoo.training.data.check.picture import choose_samples
from maskzoo.training.data.feed.dataset import open_dataset
from maskzoo.training.data.find.description import read_description
from maskzoo.training.planning.preview import draw_preview


@pytest.fixture
def folder(make_folder, ids):
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    masks = {f"{split}/{n}": ids(0, 1, 1, 255) for n, split in enumerate(splits)}
    return make_folder(masks)


def test_json_says_what_is_there(folder):
    calls = []
    document = inspect(folder, progress=lambda done, total: calls.append((done, total))).to_json()
    json.dumps(document)
    assert calls == [(number, 12) for number in range(1, 13)]
    assert document["splits"] == {"train": 6, "val": 3, "test": 3}
    assert document["encoding"] == "ids"
    assert [row["share"] for row in document["classes"]] == [0.25, 0.5]
    assert document["ignore"] == {"values": ["255"], "share": 0.25}
    assert document["sizes"]["smallest"] == "32 x 24"
    assert document["num_errors"] == 0


def test_the_table_names_classes_problems_and_the_next_command(folder):
    text = inspect(folder).table()
    assert "class_1" in text
    assert "(ignored)" in text
    assert "warning: few images" in text
    assert f"usable: maskzoo train {folder}" in text


def test_errors_show_in_the_table_with_their_cure(folder, write_picture, ids):
    write_picture(folder / "masks" / "val" / "7.png", ids(0, 1, height=3))
    report = inspect(folder)
    assert report.num_errors == 1
    assert "not usable yet: 1 kind(s) of error" in report.table()
    assert 'exclude: ["7"]' in report.table()


def test_the_written_description_opens_the_same_data(folder, tmp_path):
    report = inspect(folder)
    for path in (tmp_path / "far" / "away.yaml", folder / "dataset.yaml"):
        report.write_yaml(path)
        data = open_dataset(path)
        assert data.fingerprint == report.data().fingerprint
        assert data.labels == report.data().labels


def test_a_description_is_not_written_over(folder):
    report = inspect(folder)
    report.write_yaml()
    with pytest.raises(DataError, match=r"dataset\.yaml exists and may hold edits"):
        report.write_yaml()


def test_a_place_that_cannot_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        inspect(folder).write_yaml(tmp_path / "file" / "dataset.yaml")


def test_the_written_description_offers_what_to_exclude(folder, write_picture, ids):
    write_picture(folder / "masks" / "val" / "7.png", ids(0, 1, height=3))
    text = inspect(folder).write_yaml().read_text()
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
    inspect(folder).write_yaml(overwrite=True)
    after = read_description(folder / "dataset.yaml")
    assert after.encoding_and_labels() == before.encoding_and_labels()
    assert after.background == "a"


def test_seeded_splits_are_written(make_folder, ids):
    root = make_folder({f"m{number}": ids(0, 1) for number in range(20)})
    report = inspect(root, seed=5)
    assert "splits: {seed: 5, fractions: {train: 0.7" in report.write_yaml().read_text()
    assert open_dataset(root).fingerprint == report.data().fingerprint


def test_the_picture_is_drawn_even_with_a_bad_file(folder, tmp_path):
    (folder / "images" / "val" / "7.png").write_bytes(b"no picture")
    path = inspect(folder).picture(tmp_path / "out" / "look.png")
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
    report.picture(tmp_path / "picture.png")
    written = open_dataset(report.write_yaml(tmp_path / "dataset.yaml"))
    assert written.fingerprint == report.data().fingerprint


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
