"""Changes by an operator: checked without a trace, made at once, told to another process."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import UnknownNameError
from maskzoo.service.bundles.administration import Administration, Change, Decisions, Outcome
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.errors import AliasError, ModelUnloadedError


def set_alias(alias: str, target: str) -> Change:
    return Change(do="set_alias", name=alias, target=target)


def test_an_alias_is_switched_at_once_and_forgotten(tmp_path, play, write_bundle):
    for version in ("1", "2"):
        write_bundle(tmp_path / "cells" / version)

    async def scenario(manager: ModelManager) -> None:
        admin, forget = Administration(manager), Change(do="remove_alias", name="prod")
        old = await manager.get("prod")
        assert await admin.make(set_alias("prod", "cells@2")) == Outcome()
        assert (await manager.get("prod")).version == "2"
        assert old.predictor[0].name == "1", "who began with the old one keeps it"
        await admin.make(forget)
        with pytest.raises(UnknownNameError):
            await manager.get("prod")
        with pytest.raises(AliasError, match="no alias 'prod'"):
            await admin.make(forget)

    play(scenario, [tmp_path], aliases={"prod": "cells@1"})


def test_a_check_changes_nothing(bundles, play):
    async def scenario(manager: ModelManager) -> None:
        admin = Administration(manager)
        await manager.get("cells")
        before = admin.decisions()
        for change in (set_alias("prod", "cells"), Change(do="unload", name="cells")):
            admin.check(change)
        assert admin.decisions() == before
        assert manager.entry("cells").state == "ready"
        for do in ("load", "unload"):
            with pytest.raises(UnknownNameError):
                admin.check(Change(do=do, name="nothing"))

    play(scenario, [bundles])


def test_the_outcome_is_the_state_of_the_model(bundles, play, counting_loader):
    async def scenario(manager: ModelManager) -> None:
        admin = Administration(manager)
        assert await admin.make(Change(do="load", name="streets")) == Outcome("ready")
        assert await admin.make(Change(do="unload", name="streets")) == Outcome("unloaded")
        failed = await admin.make(Change(do="load", name="cells"))
        assert failed == Outcome("failed", "cells: weights are damaged")

    play(scenario, [bundles], load=counting_loader("cells"))


def test_what_another_process_has_decided_is_adopted(bundles, play):
    async def scenario(manager: ModelManager) -> None:
        admin = Administration(manager)
        await manager.get("cells")
        await manager.unload("streets")
        decided = Decisions(aliases={"prod": "cells"}, unloaded={str(bundles / "cells")})
        await admin.adopt(decided)
        assert admin.decisions() == decided
        with pytest.raises(ModelUnloadedError):
            await manager.get("prod")
        assert (await manager.get("streets")).name == "streets"

    play(scenario, [bundles], aliases={"old": "streets"})
