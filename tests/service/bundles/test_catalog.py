"""What lies on disk: names and versions by path, and changes once they have settled."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import MANIFEST_FILE, WEIGHTS_FILE
from maskzoo.service.bundles.catalog import FolderWatch, find_bundles, natural_key


def put(folder: Path, content: str = "{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST_FILE).write_text(content)
    (folder / WEIGHTS_FILE).write_text(content)
    return folder


def test_names_and_versions_come_from_the_path(tmp_path):
    for name in ("a/cells", "a/streets@2", "a/roofs/1", "a/roofs/10", "a/junk/nested/deep", "b"):
        put(tmp_path / name)
    (tmp_path / "a" / "empty").mkdir()
    found = find_bundles([tmp_path / "a", tmp_path / "b", tmp_path / "nowhere"])
    assert [(one.folder, one.name, one.version) for one in found] == [
        (0, "cells", None),
        (0, "roofs", "1"),
        (0, "roofs", "10"),
        (0, "streets", "2"),
        (1, "b", None),
    ]


def test_a_hidden_folder_is_not_a_bundle(tmp_path):
    """`save_bundle` leaves `.cells.XXXX.old` when it is killed between its renames."""
    put(tmp_path / ".cells.a1b2.old")
    put(tmp_path / ".trash" / "1")
    put(tmp_path / "cells")
    assert [one.path for one in find_bundles([tmp_path])] == [tmp_path / "cells"]


def test_a_bundle_that_two_folders_show_is_found_once(tmp_path):
    put(tmp_path / "cells")
    assert len(find_bundles([tmp_path / "cells", tmp_path])) == 1


@pytest.mark.parametrize(
    ("lower", "higher"), [("9", "10"), ("1.9", "1.10"), ("2", "2b"), ("a", "b")]
)
def test_versions_are_ordered_as_people_count(lower, higher):
    assert natural_key(lower) < natural_key(higher)


def test_a_change_is_reported_once_two_polls_have_seen_the_same(tmp_path):
    cells = put(tmp_path / "cells")
    watch = FolderWatch([tmp_path])
    known = {one.path: one.fingerprint for one in find_bundles([tmp_path])}
    assert watch.poll(known) == {}
    put(cells, "longer than before")
    assert watch.poll(known) == {}, "it may still be written to"
    put(cells, "and longer than that again")
    assert watch.poll(known) == {}, "it is"
    (change,) = watch.poll(known).items()
    assert change[0] == cells
    assert change[1].fingerprint != known[cells]


def test_a_bundle_that_is_gone_is_reported_as_none_and_a_new_one_as_found(tmp_path):
    cells = put(tmp_path / "cells")
    watch = FolderWatch([tmp_path])
    known = {one.path: one.fingerprint for one in find_bundles([tmp_path])}
    cells.rename(tmp_path / "roofs")
    watch.poll(known)
    changes = watch.poll(known)
    assert changes.pop(cells) is None
    (found,) = changes.values()
    assert found.name == "roofs"


def test_a_short_gap_in_a_replacement_is_not_reported(tmp_path):
    cells = put(tmp_path / "cells")
    watch = FolderWatch([tmp_path])
    known = {one.path: one.fingerprint for one in find_bundles([tmp_path])}
    (tmp_path / "cells").rename(tmp_path.parent / "away")
    assert watch.poll(known) == {}
    (tmp_path.parent / "away").rename(cells)
    assert watch.poll(known) == {}
    assert watch.poll(known) == {}
