"""Loading: once, off the request path, and one model's failure is its own; following the disk."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from maskzoo.models.bundles.manifest import MANIFEST_FILE, read_manifest
from maskzoo.models.errors import UnknownNameError
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.errors import (
    ModelBrokenError,
    ModelLoadingError,
    ModelUnloadedError,
)


def test_ten_requests_for_one_model_load_it_once(bundles, play, held_loader):
    loader = held_loader

    async def scenario(manager: ModelManager) -> None:
        waiting = [asyncio.create_task(manager.get("cells")) for _ in range(10)]
        await asyncio.sleep(0)
        assert manager.entry("cells").state == "loading"
        loader.release.set()
        models = await asyncio.gather(*waiting)
        assert len({id(model.predictor) for model in models}) == 1

    play(scenario, [bundles], load=loader)
    assert loader.paths == [bundles / "cells"]


def test_a_model_that_takes_too_long_asks_to_come_again(bundles, play, held_loader):
    loader = held_loader

    async def scenario(manager: ModelManager) -> None:
        with pytest.raises(ModelLoadingError, match="still loading") as caught:
            await manager.get("cells")
        assert caught.value.retry_after_s >= 1
        loader.release.set()
        await asyncio.gather(*manager._loads.values())
        assert (await manager.get("cells")).name == "cells"

    play(scenario, [bundles], load=loader, wait_s=0)


def test_a_load_that_fails_leaves_the_other_models_alone(bundles, play, counting_loader):
    async def scenario(manager: ModelManager) -> None:
        assert not manager.entry("cells").reason
        manager.preload()
        assert not manager.is_ready()
        await asyncio.gather(*manager._loads.values())
        assert manager.is_ready()
        assert manager.entry("cells").reason == "cells: weights are damaged"
        assert manager.default_name == "streets"
        with pytest.raises(ModelBrokenError, match="weights are damaged"):
            await manager.get("cells")
        assert (await manager.get()).name == "streets"

    play(scenario, [bundles], load=counting_loader(broken="cells"))


def test_a_missing_folder_is_logged(tmp_path, caplog):
    manager = ModelManager([tmp_path / "nowhere"], load=lambda _: object())
    assert manager.default_name is None
    assert not manager.is_ready()
    assert "no_such_folder" in caplog.text
    manager.close()


def test_a_broken_new_version_leaves_the_name_to_the_one_before(
    tmp_path, play, write_bundle, counting_loader
):
    write_bundle(tmp_path / "cells" / "1")
    write_bundle(tmp_path / "cells" / "2")

    async def scenario(manager: ModelManager) -> None:
        with pytest.raises(ModelBrokenError, match="damaged"):
            await manager.get("cells")
        assert (await manager.get("cells")).version == "1"
        assert manager.entries["cells@2"].state == "failed"

    play(scenario, [tmp_path], load=counting_loader(broken="cells/2"))


def test_what_is_unloaded_stays_out_until_it_is_loaded(bundles, play, counting_loader):
    loader = counting_loader()

    async def scenario(manager: ModelManager) -> None:
        await manager.get("cells")
        assert (await manager.unload("cells")).loaded is None
        with pytest.raises(ModelUnloadedError, match="taken out"):
            await manager.get("cells")
        assert (await manager.load("cells")).state == "ready"
        assert (await manager.get("cells")).name == "cells"

    play(scenario, [bundles], load=loader)
    assert loader.paths == ["cells", "cells"]


def test_a_bundle_that_changes_on_disk_is_swapped_once_the_new_one_is_there(
    tmp_path, play, settle, write_bundle
):
    path = write_bundle(tmp_path / "cells")

    async def scenario(manager: ModelManager) -> None:
        old = await manager.get("cells")
        write_bundle(path)
        await manager.rescan()
        assert (await manager.get("cells")).predictor is old.predictor
        await settle(manager)
        new = await manager.get("cells")
        assert new.manifest == read_manifest(path) != old.manifest
        assert new.predictor[1] == new.manifest.weights_sha256
        assert (new.version, old.version) == (
            new.manifest.weights_sha256[:12],
            old.manifest.weights_sha256[:12],
        )
        assert list(manager.entries) == ["cells"]

    play(scenario, [tmp_path])


def test_a_broken_replacement_is_reported_and_the_old_one_keeps_serving(
    tmp_path, play, settle, write_bundle
):
    path = write_bundle(tmp_path / "cells")

    async def scenario(manager: ModelManager) -> None:
        old = await manager.get("cells")
        (path / MANIFEST_FILE).write_text("{ not json")
        await settle(manager)
        assert (await manager.get("cells")).predictor is old.predictor
        assert "not valid JSON" in manager.entry("cells").reason
        assert str(tmp_path) not in manager.entry("cells").reason
        write_bundle(path)
        await settle(manager)
        assert manager.entry("cells").reason is None
        assert (await manager.get("cells")).predictor is not old.predictor

    play(scenario, [tmp_path])


def test_a_broken_bundle_that_is_repaired_is_served(tmp_path, play, settle, write_bundle):
    path = write_bundle(tmp_path / "cells")
    record = (path / MANIFEST_FILE).read_text()
    (path / MANIFEST_FILE).write_text("")

    async def scenario(manager: ModelManager) -> None:
        with pytest.raises(ModelBrokenError):
            await manager.get("cells")
        (path / MANIFEST_FILE).write_text(record)
        await settle(manager)
        assert (await manager.get("cells")).name == "cells"

    play(scenario, [tmp_path])


def test_a_bundle_that_failed_is_tried_again_after_a_time_that_grows(
    tmp_path, play, write_bundle, counting_loader
):
    write_bundle(tmp_path / "cells")
    loader, now = counting_loader(broken="cells"), [0.0]

    async def scenario(manager: ModelManager) -> None:
        for seconds, num_loads in [(0, 1), (9.9, 1), (10, 2), (29.9, 2), (30, 3), (69, 3), (70, 4)]:
            now[0] = seconds
            with pytest.raises(ModelBrokenError, match="weights are damaged") as caught:
                await manager.get("cells")
            assert len(loader.paths) == num_loads, seconds
            assert caught.value.retry_after_s >= 1
        loader.broken = ""
        now[0] = 150.0
        assert (await manager.get("cells")).name == "cells"
        assert manager.entry("cells").num_failures == 0

    play(scenario, [tmp_path], load=loader, clock=lambda: now[0])


def test_a_bundle_whose_record_failed_is_tried_again_too(tmp_path, play, write_bundle):
    path = write_bundle(tmp_path / "cells")
    record, now = (path / MANIFEST_FILE).read_bytes(), [0.0]
    (path / MANIFEST_FILE).rename(tmp_path / "away")

    async def scenario(manager: ModelManager) -> None:
        with pytest.raises(ModelBrokenError):
            await manager.get("cells")
        (path / MANIFEST_FILE).write_bytes(record)
        now[0] = 10.0
        assert (await manager.get("cells")).manifest == read_manifest(path)

    play(scenario, [tmp_path], clock=lambda: now[0])


def test_a_new_version_takes_over_the_name_only_when_it_is_loaded(
    tmp_path, play, settle, write_bundle, held_loader
):
    write_bundle(tmp_path / "cells" / "1")
    held = held_loader

    def load(path: Path) -> object:
        return held(path) if path.name == "2" else object()

    async def scenario(manager: ModelManager) -> None:
        await manager.get("cells")
        write_bundle(tmp_path / "cells" / "2")
        await manager.rescan()
        await manager.rescan()
        assert manager.entries["cells@2"].state == "loading"
        assert (await manager.get("cells")).version == "1"
        held.release.set()
        await settle(manager)
        assert (await manager.get("cells")).version == "2"
        assert (await manager.get("cells@1")).name == "cells@1"

    play(scenario, [tmp_path], load=load)


def test_a_bundle_that_is_removed_is_gone_and_requests_that_use_it_finish(
    tmp_path, play, settle, write_bundle
):
    for name in ("cells", "roofs"):
        write_bundle(tmp_path / name, name)

    async def scenario(manager: ModelManager) -> None:
        held = await manager.get("cells")
        shutil.rmtree(tmp_path / "cells")
        await settle(manager)
        assert list(manager.entries) == ["roofs"]
        assert held.predictor is not None
        assert manager.evictions == {"removed": 1}
        with pytest.raises(UnknownNameError):
            await manager.get("cells")

    play(scenario, [tmp_path])


def test_watching_goes_on_after_a_poll_that_failed(tmp_path, caplog, play, write_bundle):
    path = write_bundle(tmp_path / "cells")

    async def scenario(manager: ModelManager) -> None:
        await manager.get("cells")
        poll, calls = manager._watch.poll, []

        def failing(known: object) -> object:
            calls.append(known)
            if len(calls) == 1:
                raise OSError("the disk is away")
            return poll(known)

        manager._watch.poll = failing
        watching = asyncio.create_task(manager.watch(0.001))
        old = (await manager.get("cells")).version
        write_bundle(path)
        while (await manager.get("cells")).version == old:
            await asyncio.sleep(0.002)
        watching.cancel()

    play(scenario, [tmp_path])
    assert "rescan_failed" in caplog.text


@pytest.mark.parametrize(
    ("is_put_back", "error"), [(False, ModelBrokenError), (True, ModelLoadingError)]
)
def test_a_bundle_that_is_removed_while_it_loads_answers_nobody(
    tmp_path, play, write_bundle, held_loader, is_put_back, error
):
    """Put back before the load ends, its files are whole again; the entry is gone all the same."""
    served, aside = tmp_path / "served", tmp_path / "aside"
    for name in ("cells", "roofs"):
        write_bundle(served / name, name)

    async def scenario(manager: ModelManager) -> None:
        waiting = asyncio.create_task(manager.get("cells"))
        while not held_loader.paths:
            await asyncio.sleep(0.001)
        entry = manager.entry("cells")
        assert entry.state == "loading"
        (served / "cells").rename(aside)
        await manager.rescan()
        await manager.rescan()
        assert list(manager.entries) == ["roofs"]
        if is_put_back:
            aside.rename(served / "cells")
        held_loader.release.set()
        with pytest.raises(error):
            await waiting
        assert entry.loaded is None
        assert manager.num_bytes == 0
        assert not manager.evictions, "nothing that served was dropped"
        with pytest.raises(UnknownNameError):
            await manager.get("cells")

    play(scenario, [served], load=held_loader)
