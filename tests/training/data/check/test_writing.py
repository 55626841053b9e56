from __future__ import annotations

import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.check.writing import write_description
from maskzoo.training.data.find.described.description import read_description
from maskzoo.training.data.masks.described import described_classes
from maskzoo.training.data.opening import accept, inspect, open_dataset


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


def test_the_written_description_offers_what_to_exclude(folder, write_image, ids):
    write_image(folder / "masks" / "val" / "7.png", ids(0, 1, height=3))
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
