"""The record of one bundle, and the public names that entries are given."""

from __future__ import annotations

from pathlib import Path

from maskzoo.models.bundles.manifest import MANIFEST_FILE
from maskzoo.models.errors import BundleError
from maskzoo.service.bundles.catalog import FoundBundle, fingerprint_of
from maskzoo.service.bundles.entries import LoadedModel, ModelEntry, give_names


def entry(base: str, version: str = "1", *, folder: int = 0, state: str = "found") -> ModelEntry:
    return ModelEntry(base, Path(base), base, version, folder, True, (), state=state)


def test_the_bare_name_goes_to_the_highest_version_of_the_first_folder():
    entries = [entry("cells", "9"), entry("cells", "10"), entry("cells", "11", folder=1)]
    named = give_names(entries)
    assert named["cells"].version == "10"
    assert set(named) == {"cells", "cells@9", "cells@11"}


def test_a_failed_version_has_the_bare_name_only_where_all_have_failed():
    assert give_names([entry("a", "2", state="failed"), entry("a", "1")])["a"].version == "1"
    assert give_names([entry("a", "2", state="failed")])["a"].version == "2"


def test_of_two_equal_full_names_the_first_folder_wins():
    first, second = entry("cells", folder=0), entry("cells", folder=1)
    assert list(give_names([second, first]).values()) == [first]


def test_a_version_is_its_own_name_or_the_start_of_the_checksum(tmp_path, write_bundle):
    path = write_bundle(tmp_path / "cells")
    one = ModelEntry.of(FoundBundle(path, 0, "cells", "2", fingerprint_of(path)))
    digest = one.manifest.weights_sha256
    assert one.meets("2")
    assert one.meets(digest)
    assert one.meets(digest[:7])
    assert not one.meets(digest[:6])
    assert not one.meets("")
    assert not one.meets("3")


def test_the_record_gives_the_name_and_the_checksum_the_version(tmp_path, write_bundle):
    path = write_bundle(tmp_path / "folder", "cells")
    one = ModelEntry.of(FoundBundle(path, 0, "folder", None, fingerprint_of(path)))
    assert one.base == "cells"
    assert one.version == one.manifest.weights_sha256[:12]
    assert one.full_name == f"cells@{one.version}"


def test_a_bundle_that_cannot_be_read_is_a_failed_entry_that_names_no_folder(tmp_path):
    (tmp_path / MANIFEST_FILE).write_text("{")
    one = ModelEntry.of(FoundBundle(tmp_path, 0, "cells", None, fingerprint_of(tmp_path)))
    assert one.state == "failed"
    assert str(tmp_path) not in one.reason
    assert one.full_name == "cells@unreadable"


def test_a_failure_of_a_newer_bundle_leaves_the_loaded_one_ready():
    one = entry("cells", state="ready")
    one.loaded = LoadedModel("cells", "1", None, object())
    one.fail(BundleError("weights are damaged"))
    assert (one.state, one.reason) == ("ready", "weights are damaged")
    one.loaded = None
    one.fail(RuntimeError("boom"))
    assert (one.state, one.reason) == ("failed", "RuntimeError: boom")
