"""Loading: once, elsewhere, and one model's failure is its own; versions, memory, the disk."""

from __future__ import annotations

import asyncio
import functools
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import torch

from maskzoo import create_model, save_bundle
from maskzoo.models.bundles.manifest import MANIFEST_FILE, read_manifest
from maskzoo.models.errors import BundleError, UnknownNameError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.bundles.memory import tensor_bytes
from maskzoo.service.errors import (
    AliasError,
    ModelBrokenError,
    ModelLoadingError,
    ModelUnloadedError,
)


class HeldLoader:
    """Counts loads and holds each until it is released."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.release = threading.Event()

    def __call__(self, path: Path) -> object:
        """Load nothing."""
        self.paths.append(path)
        assert self.release.wait(30)
        return object()


class CountingLoader:
    """Makes an object that knows its bundle; the path of `broken` raises."""

    def __init__(self, broken: str = "") -> None:
        self.paths: list[str] = []
        self.broken = broken

    def __call__(self, path: Path) -> object:
        """Load nothing."""
        self.paths.append(path.name)
        if self.broken and self.broken in str(path):
            raise BundleError(f"{path}: weights are damaged")
        return (path, read_manifest(path).weights_sha256)


def play(
    scenario: Callable[[ModelManager], Awaitable[None]], folders: list[Path], **options: object
) -> None:
    async def whole() -> None:
        manager = ModelManager(folders, **{"load": CountingLoader(), **options})
        try:
            await asyncio.wait_for(scenario(manager), 60)
        finally:
            manager.close()

    asyncio.run(whole())


@functools.cache
def tiny_network() -> torch.nn.Module:
    return create_model("unet", encoder="tu-test_resnet", num_classes=2).eval()


def write(folder: Path, name: str = "cells") -> Path:
    """Write a tiny bundle whose weights nobody wrote before."""
    network = tiny_network()
    with torch.no_grad():
        network.classifier.conv.bias += 1
    labels = LabelSet.from_names(["class 0", "class 1"])
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    folder.parent.mkdir(parents=True, exist_ok=True)
    return save_bundle(folder, network, name=name, labels=labels, preprocessing=preprocessing)


async def settle(manager: ModelManager) -> None:
    """Look twice, and wait for the loads that follow."""
    await manager.rescan()
    await manager.rescan()
    while manager._loads:
        await asyncio.gather(*manager._loads.values())


def test_ten_requests_for_one_model_load_it_once(bundles):
    loader = HeldLoader()

    async def scenario(manager: ModelManager) -> None:
        waiting = [asyncio.create_task(manager.get("cells")) for _ in range(10)]
        await asyncio.sleep(0)
        assert manager.entry("cells").state == "loading"
        loader.release.set()
        models = await asyncio.gather(*waiting)
        assert len({id(model.predictor) for model in models}) == 1

    play(scenario, [bundles], load=loader)
    assert loader.paths == [bundles / "cells"]


def test_a_model_that_takes_too_long_asks_to_come_again(bundles):
    loader = HeldLoader()

    async def scenario(manager: ModelManager) -> None:
        with pytest.raises(ModelLoadingError, match="still loading") as caught:
            await manager.get("cells")
        assert caught.value.retry_after_s >= 1
        loader.release.set()
        await asyncio.gather(*manager._loads.values())
        assert (await manager.get("cells")).name == "cells"

    play(scenario, [bundles], load=loader, wait_s=0)


def test_a_load_that_fails_leaves_the_other_models_alone(bundles):
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

    play(scenario, [bundles], load=CountingLoader(broken="cells"))


def test_the_first_of_two_equal_names_wins(bundles, tmp_path, caplog):
    shutil.copytree(bundles / "cells", tmp_path / "copy")

    async def scenario(manager: ModelManager) -> None:
        assert list(manager.entries) == ["cells", "streets"]
        assert (await manager.get("cells")).predictor[0] == tmp_path / "copy"

    play(scenario, [tmp_path, bundles])
    assert caplog.text.count("model_shadowed model=cells@") == 1


def test_a_folder_that_is_not_there_is_said_in_the_log(tmp_path, caplog):
    manager = ModelManager([tmp_path / "nowhere"], load=lambda _: object())
    assert manager.default_name is None
    assert not manager.is_ready()
    assert "no_such_folder" in caplog.text
    manager.close()


def test_a_bundle_without_its_record_is_listed_as_failed(tmp_path):
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "model.safetensors").write_bytes(b"")
    (tmp_path / "unrelated").mkdir()
    manager = ModelManager([tmp_path], load=lambda _: object())
    assert {entry.name: entry.state for entry in manager.entries.values()} == {"lost": "failed"}
    manager.close()


def test_an_unknown_name_is_not_looked_for_on_disk(bundles):
    manager = ModelManager([bundles], load=lambda _: object())
    for name in ("../bundles/cells", "cells@", "cells@9", "@", ""):
        with pytest.raises(UnknownNameError, match="unknown model"):
            manager.entry(name)
    manager.close()


def test_the_highest_version_has_the_bare_name_and_each_has_its_own(tmp_path):
    for version in ("9", "10"):
        write(tmp_path / "cells" / version)
    write(tmp_path / "roofs@1", "roofs")

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


def test_a_broken_new_version_leaves_the_name_to_the_one_before(tmp_path):
    write(tmp_path / "cells" / "1")
    write(tmp_path / "cells" / "2")

    async def scenario(manager: ModelManager) -> None:
        with pytest.raises(ModelBrokenError, match="damaged"):
            await manager.get("cells")
        assert (await manager.get("cells")).version == "1"
        assert manager.entries["cells@2"].state == "failed"

    play(scenario, [tmp_path], load=CountingLoader(broken="cells/2"))


def test_an_alias_means_one_version_and_is_switched_in_one_step(tmp_path):
    for version in ("1", "2"):
        write(tmp_path / "cells" / version)

    async def scenario(manager: ModelManager) -> None:
        old = await manager.get("prod")
        assert (old.name, old.version) == ("cells@1", "1")
        manager.set_alias("prod", "cells@2")
        assert (await manager.get("prod")).version == "2"
        assert old.predictor[0].name == "1", "who began with the old one keeps it"
        for alias, target, message in [
            ("cells", "cells@1", "name of a model"),
            ("Prod!", "cells", "not allowed"),
            ("beta", "prod", "is an alias"),
        ]:
            with pytest.raises(AliasError, match=message):
                manager.set_alias(alias, target)
        with pytest.raises(UnknownNameError):
            manager.set_alias("beta", "cells@3")
        manager.aliases.remove("prod")
        with pytest.raises(UnknownNameError):
            await manager.get("prod")
        with pytest.raises(AliasError, match="no alias 'prod'"):
            manager.aliases.remove("prod")

    play(scenario, [tmp_path], aliases={"prod": "cells@1"})


def load_real(path: Path) -> Predictor:
    return Predictor.from_bundle(path, device="cpu")


def test_memory_is_measured_and_the_least_recently_used_leaves(tmp_path):
    for name in ("a", "b", "c"):
        write(tmp_path / name, name)
    ticks = iter(range(100))

    async def scenario(manager: ModelManager) -> None:
        first = await manager.get("a")
        network = first.predictor.engine.network
        state = network.state_dict().values()
        assert first.num_bytes == sum(tensor.nbytes for tensor in state)
        manager.max_bytes = int(2.5 * first.num_bytes)
        await manager.get("b")
        await manager.get("a")
        await manager.get("c")
        assert {name: entry.state for name, entry in manager.entries.items()} == {
            "a": "ready",
            "b": "found",
            "c": "ready",
        }
        assert manager.num_bytes == 2 * first.num_bytes
        assert manager.evictions == {"memory": 1}
        await manager.get("b")
        assert manager.entry("a").loaded is None
        assert first.predictor.segment is not None, "a request that holds it can go on"

    play(scenario, [tmp_path], load=load_real, clock=lambda: next(ticks))


def test_a_pinned_model_stays_and_a_model_that_does_not_fit_beside_it_works_all_the_same(tmp_path):
    for name in ("a", "b", "c"):
        write(tmp_path / name, name)

    async def scenario(manager: ModelManager) -> None:
        manager.preload()
        assert list(manager._loads) == [manager.entry("a")], "no more than fits"
        await manager.get("a")
        assert manager.is_ready()
        for name in ("b", "c"):
            assert (await manager.get(name)).name == name
        assert [entry.state for entry in manager.entries.values()] == ["ready", "found", "ready"]

    play(scenario, [tmp_path], load=load_real, max_bytes=1, pinned=["a"])


def test_what_is_unloaded_stays_out_until_it_is_loaded(bundles):
    loader = CountingLoader()

    async def scenario(manager: ModelManager) -> None:
        await manager.get("cells")
        assert (await manager.unload("cells")).loaded is None
        with pytest.raises(ModelUnloadedError, match="taken out"):
            await manager.get("cells")
        assert (await manager.load("cells")).state == "ready"
        assert (await manager.get("cells")).name == "cells"

    play(scenario, [bundles], load=loader)
    assert loader.paths == ["cells", "cells"]


def test_a_bundle_that_changes_on_disk_is_swapped_once_the_new_one_is_there(tmp_path):
    path = write(tmp_path / "cells")

    async def scenario(manager: ModelManager) -> None:
        old = await manager.get("cells")
        write(path)
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


def test_a_broken_replacement_is_told_and_the_old_one_goes_on(tmp_path):
    path = write(tmp_path / "cells")

    async def scenario(manager: ModelManager) -> None:
        old = await manager.get("cells")
        (path / MANIFEST_FILE).write_text("{ not json")
        await settle(manager)
        assert (await manager.get("cells")).predictor is old.predictor
        assert "not valid JSON" in manager.entry("cells").reason
        assert str(tmp_path) not in manager.entry("cells").reason
        write(path)
        await settle(manager)
        assert manager.entry("cells").reason is None
        assert (await manager.get("cells")).predictor is not old.predictor

    play(scenario, [tmp_path])


def test_a_broken_bundle_that_is_repaired_is_served(tmp_path):
    path = write(tmp_path / "cells")
    record = (path / MANIFEST_FILE).read_text()
    (path / MANIFEST_FILE).write_text("")

    async def scenario(manager: ModelManager) -> None:
        with pytest.raises(ModelBrokenError):
            await manager.get("cells")
        (path / MANIFEST_FILE).write_text(record)
        await settle(manager)
        assert (await manager.get("cells")).name == "cells"

    play(scenario, [tmp_path])


def test_a_new_version_takes_over_the_name_only_when_it_is_loaded(tmp_path):
    write(tmp_path / "cells" / "1")
    held = HeldLoader()

    def load(path: Path) -> object:
        return held(path) if path.name == "2" else object()

    async def scenario(manager: ModelManager) -> None:
        await manager.get("cells")
        write(tmp_path / "cells" / "2")
        await manager.rescan()
        await manager.rescan()
        assert manager.entries["cells@2"].state == "loading"
        assert (await manager.get("cells")).version == "1"
        held.release.set()
        await settle(manager)
        assert (await manager.get("cells")).version == "2"
        assert (await manager.get("cells@1")).name == "cells@1"

    play(scenario, [tmp_path], load=load)


def test_a_bundle_that_is_removed_is_gone_and_who_uses_it_goes_on(tmp_path):
    for name in ("cells", "roofs"):
        write(tmp_path / name, name)

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


def test_watching_goes_on_after_a_look_that_failed(tmp_path, caplog):
    path = write(tmp_path / "cells")

    async def scenario(manager: ModelManager) -> None:
        await manager.get("cells")
        look, calls = manager._watch.look, []

        def failing(known: object) -> object:
            calls.append(known)
            if len(calls) == 1:
                raise OSError("the disk is away")
            return look(known)

        manager._watch.look = failing
        watching = asyncio.create_task(manager.watch(0.001))
        old = (await manager.get("cells")).version
        write(path)
        while (await manager.get("cells")).version == old:
            await asyncio.sleep(0.002)
        watching.cancel()

    play(scenario, [tmp_path])
    assert "rescan_failed" in caplog.text


def test_the_measure_of_an_engine_without_tensors_is_left_to_the_process():
    assert tensor_bytes(object()) is None
