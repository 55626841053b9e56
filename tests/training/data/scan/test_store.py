from __future__ import annotations

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from maskzoo.cli import app
from maskzoo.training.data.opening import inspect
from maskzoo.training.data.scan import store as module
from maskzoo.training.data.scan.store import FILE, FactStore, Kind, open_store, reader_version
from tests.training.data.readers import READERS, labelme, mask_files, objects, save


@dataclass(frozen=True)
class Note:
    text: str


NOTES = Kind("note", Note)


def later() -> float:
    """The clock of a test: a day after its files were written."""
    return 4e9


@pytest.fixture
def opened(tmp_path: Path):
    """Open the store again: opened(max_bytes=…)."""

    def make(**options: int) -> FactStore:
        return FactStore(tmp_path / "cache" / FILE, clock=later, **options)

    return make


def read(store: FactStore, file: Path, extra: str = "") -> tuple[str, bool]:
    """Return a file's text, and whether it was read."""
    calls: list[Path] = []

    def make() -> Note:
        calls.append(file)
        return Note(file.read_text())

    found = store.read(NOTES, str(file), [file], make, extra)
    store.close()
    return found.text, bool(calls)


def test_what_has_not_changed_is_not_read_again(tmp_path, opened) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    assert read(opened(), file) == ("one", True)
    assert read(opened(), file) == ("one", False)
    assert read(opened(), file, extra="other options") == ("one", True)


def test_a_changed_file_is_read_again_also_one_of_the_same_size_and_time(tmp_path, opened) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    read(opened(), file)
    file.write_text("three")
    assert read(opened(), file) == ("three", True)
    before = file.stat()
    file.write_text("seven")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert read(opened(), file) == ("seven", True)
    other = tmp_path / "b"
    other.write_text("other")
    other.replace(file)
    assert read(opened(), file) == ("other", True)


def test_a_file_that_may_still_change_is_not_kept(tmp_path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    for _ in range(2):
        store = FactStore(tmp_path / FILE, clock=lambda: file.stat().st_mtime + 1)
        assert read(store, file) == ("one", True)


def test_other_code_reads_again(tmp_path, opened, monkeypatch) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    read(opened(), file)
    assert len(reader_version()) == 64
    monkeypatch.setattr(module, "reader_version", lambda: "another")
    assert read(opened(), file) == ("one", True)


@pytest.mark.parametrize("damage", [b"", b"no database at all, but long enough to be one" * 40])
def test_a_damaged_store_is_ignored_and_made_anew(damage, tmp_path, opened) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    read(opened(), file)
    (tmp_path / "cache" / FILE).write_bytes(damage)
    assert read(opened(), file) == ("one", True)
    read(opened(), file)
    assert read(opened(), file) == ("one", False)


def test_a_damaged_entry_is_ignored(tmp_path, opened) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    read(opened(), file)
    with sqlite3.connect(tmp_path / "cache" / FILE) as db:
        db.execute("UPDATE facts SET facts = ?", (b'{"text": 1',))
    assert read(opened(), file) == ("one", True)


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    assert read(FactStore(file / "below" / FILE, clock=later), file) == ("one", True)


def test_the_oldest_go_first_where_there_are_too_many_bytes(tmp_path, opened) -> None:
    files = [tmp_path / f"{number}" for number in range(40)]
    store = opened(max_bytes=100_000)
    for number, file in enumerate(files):
        file.write_text(f"{number:05}" * 2000)
        store.read(NOTES, str(file), [file], lambda file=file: Note(file.read_text()))
    store.close()
    assert (tmp_path / "cache" / FILE).stat().st_size <= 100_000
    assert read(opened(), files[-1])[1] is False
    assert read(opened(), files[0])[1] is True


def test_the_cache_never_lies_in_the_data(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "data" / "cache"))
    (tmp_path / "data").mkdir()
    assert open_store(tmp_path / "data") is None
    assert not [*(tmp_path / "data").iterdir()]
    (tmp_path / "other").mkdir()
    store = open_store(tmp_path / "other")
    assert store is not None
    store.close()


@pytest.mark.parametrize("name", READERS)
def test_a_second_inspection_of_every_reader_is_equal(name, tmp_path, opened) -> None:
    root = tmp_path / "data"
    root.mkdir()
    READERS[name](root)
    masks = {"classes": "join", "good parts": "ground_truth + good"}.get(name)
    if name == "splits":
        masks = "masks (held_out as val)"
    first = inspect(root, masks=masks).to_json()
    stores = [opened(), opened()]
    reports = []
    for store in stores:
        reports.append(inspect(root, masks=masks, store=store).to_json())
        store.close()
    for report in (first, *reports):
        report.pop("seconds")
    assert reports == [first, first]
    assert stores[0].hits == 0
    assert stores[1].hits >= 14  # of 7 images with masks or more


@pytest.mark.parametrize(
    ("write", "changed", "value"),
    [(mask_files, "masks/3.png", 0), (objects, "masks/3_b2c3.png", 0)],
)
def test_a_changed_mask_changes_the_report(write, changed, value, tmp_path, opened) -> None:
    write(tmp_path / "data")
    for store in (opened(),):
        inspect(tmp_path / "data", store=store)
        store.close()
    save(tmp_path / "data" / changed, np.full((24, 32), 255, np.uint8))
    store = opened()
    kept = inspect(tmp_path / "data", store=store).to_json()
    fresh = inspect(tmp_path / "data").to_json()
    assert kept["classes"] == fresh["classes"]
    assert store.hits == 15
    store.close()


def test_a_changed_annotation_draws_its_mask_again(tmp_path, opened) -> None:
    root = tmp_path / "data"
    labelme(root)
    store = opened()
    inspect(root, store=store)
    store.close()
    file = root / "images/3.json"
    file.write_text(file.read_text().replace("12", "13"))
    store = opened()
    kept = inspect(root, store=store).to_json()
    assert kept["classes"] == inspect(root).to_json()["classes"]
    assert store.hits == 15
    store.close()


def test_the_command_uses_the_cache_unless_told_not_to(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    mask_files(tmp_path / "data")
    run = CliRunner().invoke
    assert run(app, ["inspect", str(tmp_path / "data"), "--no-cache"]).exit_code == 0
    assert not (tmp_path / "cache/maskzoo/data").exists()
    assert run(app, ["inspect", str(tmp_path / "data")]).exit_code == 0
    assert (tmp_path / "cache/maskzoo/data" / FILE).is_file()
