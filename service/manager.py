"""The models of one server: find bundles, load them off the request path, keep them apart.

A bundle that cannot be read or loaded is an entry like any other, in the state `failed` with its
reason; it never keeps another from being served. Names come from a table that is filled at
start: nothing that a client sends is ever joined to a path.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from models.bundle import MANIFEST_FILE, WEIGHTS_FILE, Manifest, read_manifest
from models.errors import UnknownNameError, ZooError
from models.inference.predictor import Segmentation
from models.labels import LabelSet
from service.errors import ModelBrokenError, ModelLoadingError, NoModelError

logger = logging.getLogger(__name__)

State = Literal["found", "loading", "ready", "failed"]


class Segmenter(Protocol):
    """What the service needs of a predictor."""

    def input_size(
        self, image: tuple[int, int], *, mode: str = "auto", max_side: int | None = None
    ) -> tuple[int, int]:
        """Return the (height, width) at which the network sees an image of that size."""

    def segment_many(
        self,
        images: Sequence[np.ndarray],
        *,
        mode: str = "auto",
        confidence: bool = True,
        max_side: int | None = None,
    ) -> list[Segmentation]:
        """Segment uint8 (H, W, 3) images of one input size; called from several threads."""

    def logits(
        self, image: np.ndarray, *, mode: str = "auto", max_side: int | None = None
    ) -> np.ndarray:
        """Return float32 (K, H, W) for one image."""


LoadModel = Callable[[Path], Segmenter]


@dataclass
class ModelEntry:
    """One bundle and what became of it.

    Args:
        reason: why it failed; None while it did not.
        load_s: seconds that loading took.
    """

    name: str
    path: Path
    manifest: Manifest | None = None
    predictor: Segmenter | None = None
    state: State = "found"
    reason: str | None = None
    load_s: float | None = None

    def fail(self, error: Exception) -> None:
        """Record why this bundle cannot be served; its folder is not named to clients."""
        text = str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
        self.state = "failed"
        self.reason = text.replace(str(self.path), self.name)
        logger.error("event=model_failed model=%s path=%s reason=%r", self.name, self.path, text)


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to work."""

    name: str
    manifest: Manifest
    predictor: Segmenter

    @property
    def labels(self) -> LabelSet:
        """The classes of the model."""
        return self.manifest.labels


class ModelManager:
    """Finds and loads the bundles below some folders.

    Args:
        folders: bundles, or folders of bundles; the first of two equal names wins.
        load: makes a predictor of a bundle's folder; runs in a thread of its own.
        default: the model of a request that names none; None takes the first.
        wait_s: how long `get` waits for a model that is being loaded.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        load: LoadModel,
        default: str | None = None,
        wait_s: float = 20,
    ) -> None:
        self.entries: dict[str, ModelEntry] = {}
        self._load = load
        self._default = default
        self._wait_s = wait_s
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._preloading = False
        for path in _find_bundles(folders):
            self._add(path)

    @property
    def default_name(self) -> str | None:
        """The model of a request that names none; the first that has not failed."""
        if self._default is not None:
            return self._default
        usable = [entry.name for entry in self.entries.values() if entry.state != "failed"]
        return next(iter(usable or self.entries), None)

    def entry(self, name: str) -> ModelEntry:
        """Look a model up.

        Raises:
            UnknownNameError: there is no such model.
        """
        if name not in self.entries:
            raise UnknownNameError("model", name, self.entries)
        return self.entries[name]

    async def get(self, name: str | None = None) -> LoadedModel:
        """Return a model, loading it first where nobody has; one load serves all who wait.

        Raises:
            UnknownNameError: there is no such model.
            NoModelError: the server has no model at all.
            ModelBrokenError: the bundle cannot be used.
            ModelLoadingError: the model was not there in time.
        """
        name = name or self.default_name
        if name is None:
            raise NoModelError("no bundle was found; set MASKZOO_BUNDLES to a folder of bundles")
        entry = self.entry(name)
        if entry.state in ("found", "loading"):
            await asyncio.wait([self._begin(entry)], timeout=self._wait_s)
        if entry.state == "failed":
            raise ModelBrokenError(name, entry.reason or "")
        if entry.predictor is None or entry.manifest is None:
            raise ModelLoadingError(name, retry_after_s=max(1, round(self._wait_s)))
        return LoadedModel(name, entry.manifest, entry.predictor)

    def preload(self) -> None:
        """Begin to load every model; `is_ready` waits for them from now on."""
        self._preloading = True
        for entry in self.entries.values():
            if entry.state == "found":
                self._begin(entry)

    def is_ready(self) -> bool:
        """Whether there is a model to work with, and none that is still being preloaded."""
        states = [entry.state for entry in self.entries.values()]
        waiting = self._preloading and ("found" in states or "loading" in states)
        return not waiting and any(state != "failed" for state in states)

    def close(self) -> None:
        """Forget what was not yet begun, and end the loader's thread when it is done."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _add(self, path: Path) -> None:
        entry = ModelEntry(path.name, path)
        try:
            entry.manifest = read_manifest(path)
            entry.name = entry.manifest.name
        except Exception as error:
            entry.fail(error)
        if entry.name in self.entries:
            logger.warning("event=model_shadowed model=%s path=%s", entry.name, path)
            return
        self.entries[entry.name] = entry

    def _begin(self, entry: ModelEntry) -> asyncio.Task[None]:
        task = self._loads.get(entry.name)
        if task is None:
            entry.state = "loading"
            task = asyncio.create_task(self._run_load(entry), name=f"load {entry.name}")
            self._loads[entry.name] = task
        return task

    async def _run_load(self, entry: ModelEntry) -> None:
        begun = time.perf_counter()
        try:
            loop = asyncio.get_running_loop()
            entry.predictor = await loop.run_in_executor(self._loader, self._load, entry.path)
        except Exception as error:
            entry.fail(error)
            return
        entry.load_s = time.perf_counter() - begun
        entry.state = "ready"
        logger.info("event=model_ready model=%s load_s=%.2f", entry.name, entry.load_s)


def _find_bundles(folders: Sequence[Path]) -> Iterator[Path]:
    """Yield each folder that holds a `bundle.json`: the given ones, or their children."""
    for folder in folders:
        if (folder / MANIFEST_FILE).is_file():
            yield folder
        elif folder.is_dir():
            children = sorted(child for child in folder.iterdir() if child.is_dir())
            yield from (child for child in children if _looks_like_bundle(child))
        else:
            logger.warning("event=no_such_folder path=%s", folder)


def _looks_like_bundle(path: Path) -> bool:
    """Tell a bundle, even one that lost a file, from any other folder."""
    return any((path / name).is_file() for name in (MANIFEST_FILE, WEIGHTS_FILE))
