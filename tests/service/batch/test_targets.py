"""Targets receive whole files, and nothing is left of those that were not finished."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from maskzoo.models.errors import DataError
from maskzoo.service.batch.targets import BucketTarget, FolderTarget, Target, open_target


@pytest.fixture(params=["folder", "bucket"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Target:
    if request.param == "folder":
        return open_target(str(tmp_path / "out"))
    return open_target(f"memory://{uuid.uuid4().hex}/out")


def test_what_is_put_can_be_fetched_replaced_and_removed(target: Target) -> None:
    with target.scratch() as scratch:
        assert not target.fetch("masks/deep/a.png", scratch).exists()
        for content in (b"one", b"two"):
            made = scratch / "mask.png"
            made.write_bytes(content)
            target.put(made, "masks/deep/a.png")
            assert target.fetch("masks/deep/a.png", scratch).read_bytes() == content
        target.remove("masks/deep/a.png")
        target.remove("masks/deep/a.png")  # also where there is none
    with target.scratch() as scratch:
        assert not target.fetch("masks/deep/a.png", scratch).exists()


def test_two_workers_never_share_a_scratch_folder(tmp_path: Path) -> None:
    with FolderTarget(tmp_path).scratch() as one, FolderTarget(tmp_path).scratch() as two:
        assert one != two


def test_sweeping_removes_the_parts_and_keeps_the_masks(tmp_path: Path) -> None:
    target = FolderTarget(tmp_path)
    with target.scratch() as scratch:
        (scratch / "mask.png").write_bytes(b"whole")
        target.put(scratch / "mask.png", "masks/a.png")
        (scratch / "mask.png").write_bytes(b"ha")
    FolderTarget(tmp_path).sweep()
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [tmp_path / "masks/a.png"]
    with target.scratch() as scratch:
        assert scratch.is_dir(), "a worker goes on after another run's sweep"


def test_places_are_shown_as_a_person_finds_them(tmp_path: Path) -> None:
    assert FolderTarget(tmp_path).show("masks/a.png") == str(tmp_path / "masks/a.png")
    assert BucketTarget("memory://b/out/").show("masks/a.png") == "memory://b/out/masks/a.png"


def test_an_unknown_protocol_is_refused() -> None:
    with pytest.raises(DataError, match="'nothing://b' cannot be opened"):
        open_target("nothing://b")
