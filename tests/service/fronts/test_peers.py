"""One administration of two owners: all of them change, or none does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from maskzoo.models.errors import BundleError

TOKEN = "t" * 16
ADMIN = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(name="pair")
def pair_fixture(house, counted_model):
    """Two owners of one model each, and a front before them."""
    there = house(counted_model, type(counted_model)(), admin_token=TOKEN, reload_s=3600)
    return there, there.front()


def states(there, name: str) -> list[str]:
    return [owner.services.manager.entry(name).state for owner in there.owners]


def aliases(there) -> list[dict[str, str]]:
    return [owner.services.manager.aliases.table for owner in there.owners]


def in_loop(owner, work: Callable[[], object]) -> None:
    """Let an owner do something in its loop."""
    owner.loop.call_soon_threadsafe(work)


def test_an_alias_holds_at_every_owner_and_is_forgotten_at_every_owner(pair, png, wait_until):
    there, front = pair
    put = front.put("/admin/aliases/prod", json={"model": "streets"}, headers=ADMIN)
    assert (put.status_code, put.json()) == (200, {"prod": "streets"})
    assert aliases(there) == [{"prod": "streets"}] * 2
    assert front.post("/segment?model=prod", content=png).headers["maskzoo-model"] == "streets"
    there.page.forget_owner(0)  # until it says again that it runs
    assert front.post("/segment?model=prod", content=png).headers["maskzoo-model"] == "streets"
    wait_until(lambda: there.page.runs(0))
    assert front.delete("/admin/aliases/prod", headers=ADMIN).json() == {}
    assert aliases(there) == [{}, {}]


def test_what_one_owner_refuses_none_does(pair, wait_until):
    there, front = pair
    other = there.owners[1]
    manager = other.services.manager
    in_loop(other, lambda: manager.table.remove(manager.entry("streets")))
    wait_until(lambda: "streets" not in manager.entries)
    put = front.put("/admin/aliases/prod", json={"model": "streets"}, headers=ADMIN)
    assert put.status_code == 404
    assert "unknown model 'streets'" in put.json()["detail"]
    assert aliases(there) == [{}, {}]
    gone = front.post("/admin/models/streets/unload", headers=ADMIN)
    assert gone.status_code == 404
    assert there.owners[0].services.manager.entry("streets").state == "ready"
    assert not (there.folder / "decisions.json").exists()


def test_a_model_is_taken_out_and_brought_back_at_every_owner(pair, png):
    there, front = pair
    out = front.post("/admin/models/cells/unload", headers=ADMIN)
    assert (out.status_code, out.json()["state"]) == (200, "unloaded")
    assert states(there, "cells") == ["unloaded"] * 2
    assert front.post("/segment?model=cells", content=png).status_code == 503
    back = front.post("/admin/models/cells/load", headers=ADMIN)
    assert (back.status_code, back.json()["state"]) == (200, "ready")
    assert states(there, "cells") == ["ready"] * 2
    assert front.post("/segment?model=cells", content=png).status_code == 200


def test_a_model_that_one_owner_cannot_load_stays_out_everywhere(pair, png, monkeypatch):
    there, front = pair
    front.post("/admin/models/cells/unload", headers=ADMIN)

    def fail(path):
        raise BundleError(f"{path}: no memory is left")

    manager = there.owners[1].services.manager
    with monkeypatch.context() as patch:
        patch.setattr(manager, "_load", fail)
        answer = front.post("/admin/models/cells/load", headers=ADMIN)
    assert (answer.status_code, answer.json()["state"]) == (200, "unloaded")
    assert answer.json()["reason"] == "owner 1: cells: no memory is left"
    assert states(there, "cells") == ["unloaded"] * 2
    assert front.post("/admin/models/cells/load", headers=ADMIN).json()["state"] == "ready"
    assert states(there, "cells") == ["ready"] * 2


def test_a_successor_knows_what_was_decided_before_and_while_it_was_away(pair, png, counted_model):
    there, front = pair
    front.post("/admin/models/cells/unload", headers=ADMIN)
    there.owners[1].end()
    put = front.put("/admin/aliases/prod", json={"model": "streets"}, headers=ADMIN)
    assert put.status_code == 200, "the one that is away is not asked"
    with there.owning(1, lambda _: counted_model) as successor:
        manager = successor.services.manager
        assert manager.aliases.table == {"prod": "streets"}
        assert manager.entry("cells").state == "unloaded"
        assert front.post("/admin/models/cells/load", headers=ADMIN).json()["state"] == "ready"
        assert manager.entry("cells").state == "ready"


def test_a_change_between_the_start_of_an_owner_and_its_first_line_is_caught_up(
    pair, counted_model, monkeypatch
):
    """The owner has read what was decided, and cannot be reached yet, when a change is made."""
    there, front = pair
    there.owners[1].end()
    from maskzoo.service.fronts.owner import Owner

    begin = Owner.__init__

    def change_first(self, *given):
        begin(self, *given)
        monkeypatch.undo()
        front.put("/admin/aliases/late", json={"model": "cells"}, headers=ADMIN)
        front.post("/admin/models/streets/unload", headers=ADMIN)

    monkeypatch.setattr(Owner, "__init__", change_first)
    with there.owning(1, lambda _: counted_model) as successor:
        assert successor.services.manager.aliases.table == {"late": "cells"}
        assert successor.services.manager.entry("streets").state == "unloaded"
