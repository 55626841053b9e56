"""Loading: once, elsewhere, and one model's failure is its own."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from models.errors import BundleError, UnknownNameError
from service.errors import ModelBrokenError, ModelLoadingError
from service.manager import ModelManager


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


def test_ten_requests_for_one_model_load_it_once(bundles):
    loader = HeldLoader()

    async def scenario() -> None:
        manager = ModelManager([bundles], load=loader)
        waiting = [asyncio.create_task(manager.get("cells")) for _ in range(10)]
        await asyncio.sleep(0)
        assert manager.entry("cells").state == "loading"
        loader.release.set()
        models = await asyncio.gather(*waiting)
        assert len({id(model.predictor) for model in models}) == 1
        manager.close()

    asyncio.run(scenario())
    assert loader.paths == [bundles / "cells"]


def test_a_model_that_takes_too_long_asks_to_come_again(bundles):
    loader = HeldLoader()

    async def scenario() -> None:
        manager = ModelManager([bundles], load=loader, wait_s=0)
        with pytest.raises(ModelLoadingError, match="still loading") as caught:
            await manager.get("cells")
        assert caught.value.retry_after_s >= 1
        loader.release.set()
        await manager._loads["cells"]
        assert (await manager.get("cells")).name == "cells"
        manager.close()

    asyncio.run(scenario())


def test_a_load_that_fails_leaves_the_other_models_alone(bundles):
    def load(path: Path) -> object:
        if path.name == "cells":
            raise BundleError(f"{path}: weights are damaged")
        return object()

    async def scenario() -> None:
        manager = ModelManager([bundles], load=load)
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
        manager.close()

    asyncio.run(scenario())


def test_the_first_of_two_equal_names_wins(bundles, caplog):
    manager = ModelManager([bundles / "cells", bundles], load=lambda _: object())
    assert list(manager.entries) == ["cells", "streets"]
    assert "model_shadowed model=cells" in caplog.text
    manager.close()


def test_a_folder_that_is_not_there_is_said_in_the_log(tmp_path, caplog):
    manager = ModelManager([tmp_path / "nowhere"], load=lambda _: object())
    assert manager.default_name is None
    assert not manager.is_ready()
    assert "no_such_folder" in caplog.text
    manager.close()


def test_a_bundle_without_its_record_is_listed_as_failed(bundles, tmp_path):
    (tmp_path / "lost").mkdir()
    (tmp_path / "lost" / "model.safetensors").write_bytes(b"")
    (tmp_path / "unrelated").mkdir()
    manager = ModelManager([tmp_path], load=lambda _: object())
    assert {entry.name: entry.state for entry in manager.entries.values()} == {"lost": "failed"}
    manager.close()


def test_an_unknown_name_is_not_looked_for_on_disk(bundles):
    manager = ModelManager([bundles], load=lambda _: object())
    with pytest.raises(UnknownNameError, match="unknown model"):
        manager.entry("../bundles/cells")
    manager.close()
