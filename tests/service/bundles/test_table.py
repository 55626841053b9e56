"""Names: bare ones, versions, aliases, and who wins."""

from __future__ import annotations

import shutil

import pytest

from maskzoo.models.errors import UnknownNameError
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.errors import (
    AliasError,
)


def test_the_first_of_two_equal_names_wins(bundles, tmp_path, caplog, play):
    shutil.copytree(bundles / "cells", tmp_path / "copy")

    async def scenario(manager: ModelManager) -> None:
        assert list(manager.entries) == ["cells", "streets"]
        assert (await manager.get("cells")).predictor[0] == tmp_path / "copy"

    play(scenario, [tmp_path, bundles])
    assert caplog.text.count("model_shadowed model=cells@") == 1


def test_an_unknown_name_is_not_looked_for_on_disk(bundles):
    manager = ModelManager([bundles], load=lambda _: object())
    for name in ("../bundles/cells", "cells@", "cells@9", "@", ""):
        with pytest.raises(UnknownNameError, match="unknown model"):
            manager.entry(name)
    manager.close()


def test_the_highest_version_has_the_bare_name_and_each_has_its_own(tmp_path, play, write_bundle):
    for version in ("9", "10"):
        write_bundle(tmp_path / "cells" / version)
    write_bundle(tmp_path / "roofs@1", "roofs")

    async def scenario(manager: ModelManager) -> None:
        assert list(manager.entries) == ["cells", "cells@9", "roofs"]
        assert (await manager.get("cells")).version == "10"
        assert (await manager.get("cells@10")).name == "cells"
        nine = await manager.get("cells@9")
        assert (nine.name, nine.version) == ("cells@9", "9")
        digest = nine.manifest.weights_sha256
        assert manager.entry(f"cells@{digest[:7]}").version == "9"
        with pytest.raises(UnknownNameError):
            manager.entry(f"cells@{digest[:6]}")

    play(scenario, [tmp_path])


def test_an_alias_stands_for_one_version(tmp_path, play, write_bundle):
    for version in ("1", "2"):
        write_bundle(tmp_path / "cells" / version)

    async def scenario(manager: ModelManager) -> None:
        found = await manager.get("prod")
        assert (found.name, found.version) == ("cells@1", "1")
        for alias, target, message in [
            ("cells", "cells@1", "name of a model"),
            ("Prod!", "cells", "not allowed"),
            ("beta", "prod", "is an alias"),
        ]:
            with pytest.raises(AliasError, match=message):
                manager.table.check_alias(alias, target)
        with pytest.raises(UnknownNameError):
            manager.table.check_alias("beta", "cells@3")
        manager.table.check_alias("beta", "cells@2")
        assert "beta" not in manager.aliases.table

    play(scenario, [tmp_path], aliases={"prod": "cells@1"})


def test_a_bundle_without_its_record_is_listed_as_failed(tmp_path):
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "model.safetensors").write_bytes(b"")
    (tmp_path / "unrelated").mkdir()
    manager = ModelManager([tmp_path], load=lambda _: object())
    assert {entry.name: entry.state for entry in manager.entries.values()} == {"lost": "failed"}
    manager.close()


def test_a_new_version_of_a_model_that_nobody_has_loaded_takes_its_name_without_a_load(
    tmp_path, play, write_bundle, settle, counting_loader
):
    write_bundle(tmp_path / "cells" / "1")
    loader = counting_loader()

    async def scenario(manager: ModelManager) -> None:
        write_bundle(tmp_path / "cells" / "2")
        await settle(manager)
        assert list(manager.entries) == ["cells", "cells@1"]
        assert manager.entry("cells").version == "2"
        assert loader.paths == []

    play(scenario, [tmp_path], load=loader)
