"""One administration of two owners: all of them change, or none does."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable

import pytest
import torch

from maskzoo import create_model, save_bundle
from maskzoo.models.errors import BundleError
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing

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


@pytest.fixture(name="reloading")
def reloading_fixture(house, counted_model, bundles, tmp_path):
    """`(there, front, rewrite)`: two owners that look at their own folder all the time."""
    folder = shutil.copytree(bundles, tmp_path / "own")
    there = house(
        counted_model, type(counted_model)(), bundles=(folder,), reload_s=0.02, admin_token=TOKEN
    )

    network = create_model("unet", encoder="tu-test_resnet", num_classes=2).eval()

    def rewrite() -> None:
        with torch.no_grad():
            network.classifier.conv.bias += 1  # weights that nobody wrote before
        plain = Preprocessing(mean=(0.5,) * 3, std=(0.25,) * 3)
        save_bundle(
            folder / "cells", network, name="cells", labels=LabelSet.generic(2), preprocessing=plain
        )

    return there, there.front(), rewrite


def versions(there) -> list[str]:
    return [owner.services.manager.entry("cells").loaded.version for owner in there.owners]


def test_a_new_bundle_serves_when_all_owners_have_it(reloading, png, monkeypatch, wait_until):
    there, front, rewrite = reloading
    first, second = (owner.services.manager for owner in there.owners)
    (old,) = set(versions(there))
    load, release = second._load, threading.Event()

    def hold(path):
        assert release.wait(120)
        return load(path)

    monkeypatch.setattr(second, "_load", hold)
    rewrite()
    cells = first.entry("cells")
    wait_until(lambda: second.is_loading(second.entry("cells")) and first.is_loading(cells))
    wait_until(lambda: cells.verdict.fingerprint == cells.fingerprint)
    assert versions(there) == [old, old], "the first one has it, and waits"
    assert front.post("/segment?model=cells", content=png).status_code == 200
    release.set()
    wait_until(lambda: old not in versions(there))
    assert len(set(versions(there))) == 1


def test_a_new_bundle_that_one_owner_cannot_load_serves_nowhere(
    reloading, png, monkeypatch, wait_until
):
    there, front, rewrite = reloading
    first, second = (owner.services.manager for owner in there.owners)
    (old,) = set(versions(there))

    def fail(path):
        raise BundleError(f"{path}: no memory is left")

    with monkeypatch.context() as patch:
        patch.setattr(second, "_load", fail)
        rewrite()
        wait_until(lambda: first.entry("cells").reason and second.entry("cells").reason)
    assert first.entry("cells").reason == "owner 1: cells: no memory is left"
    assert versions(there) == [old, old]
    assert front.post("/segment?model=cells", content=png).status_code == 200
    rewrite()
    wait_until(lambda: old not in versions(there))
    assert len(set(versions(there))) == 1, "the next one is loaded again"


def test_a_bundle_that_changes_while_the_others_load_it_does_not_serve(
    reloading, monkeypatch, wait_until
):
    there, _, rewrite = reloading
    first, second = (owner.services.manager for owner in there.owners)
    (old,) = set(versions(there))
    load, release, loads = second._load, threading.Event(), []

    def hold(path):
        loads.append(path)
        assert release.wait(120)
        return load(path)

    monkeypatch.setattr(second, "_load", hold)
    cells = first.entry("cells")
    for _ in range(2):
        before = cells.fingerprint
        rewrite()
        wait_until(lambda before=before: before != cells.fingerprint)
    wait_until(lambda: cells.verdict.fingerprint == cells.fingerprint)
    assert versions(there) == [old, old]
    release.set()
    wait_until(lambda: old not in versions(there) and len(set(versions(there))) == 1)
    assert not first.is_loading(cells)
