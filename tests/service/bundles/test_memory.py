"""How much memory models hold, and which of them leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from maskzoo.models.inference.predictor import Predictor
from maskzoo.service.bundles.loading import estimate_bytes
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.bundles.memory import tensor_bytes


def load_real(path: Path) -> Predictor:
    return Predictor.from_bundle(path, device="cpu")


def test_memory_is_measured_and_the_least_recently_used_leaves(tmp_path, play, write_bundle):
    for name in ("a", "b", "c"):
        write_bundle(tmp_path / name, name)
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


@pytest.mark.parametrize(("missing", "evictions"), [(0, {}), (1, {"memory": 1})])
def test_a_model_leaves_only_where_a_byte_is_missing(
    tmp_path, play, write_bundle, missing, evictions
):
    for name in ("a", "b"):
        write_bundle(tmp_path / name, name)

    async def scenario(manager: ModelManager) -> None:
        first = await manager.get("a")
        manager.max_bytes = first.num_bytes + estimate_bytes(manager.entry("b")) - missing
        await manager.get("b")
        assert manager.evictions == evictions
        assert (manager.entry("a").loaded is None) == bool(evictions)

    play(scenario, [tmp_path], load=load_real)


@pytest.mark.parametrize(("missing", "loading"), [(0, ["a", "b"]), (1, ["a"])])
def test_as_many_models_are_preloaded_as_just_fit(tmp_path, play, write_bundle, missing, loading):
    for name in ("a", "b", "c"):
        write_bundle(tmp_path / name, name)

    async def scenario(manager: ModelManager) -> None:
        needs = [estimate_bytes(manager.entry(name)) for name in ("a", "b")]
        manager.max_bytes = sum(needs) - missing
        manager.preload()
        assert [entry.name for entry in manager._loads] == loading

    play(scenario, [tmp_path])


def test_a_pinned_model_stays_and_a_model_that_does_not_fit_beside_it_works_all_the_same(
    tmp_path, play, write_bundle
):
    for name in ("a", "b", "c"):
        write_bundle(tmp_path / name, name)

    async def scenario(manager: ModelManager) -> None:
        manager.preload()
        assert list(manager._loads) == [manager.entry("a")], "no more than fits"
        await manager.get("a")
        assert manager.is_ready()
        for name in ("b", "c"):
            assert (await manager.get(name)).name == name
        assert [entry.state for entry in manager.entries.values()] == ["ready", "found", "ready"]

    play(scenario, [tmp_path], load=load_real, max_bytes=1, pinned=["a"])


def test_the_measure_of_an_engine_without_tensors_is_left_to_the_process():
    assert tensor_bytes(object()) is None
