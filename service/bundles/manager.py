"""The model manager: loads models off the request path, evicts, and follows the disk.

* One load of a model serves every request that waits for it; loads run in their own threads.
* A model is ready once it is loaded and, with the service's own loader, warmed up.
* Where memory is limited, the least recently used models are dropped first and pinned models
  stay. The limit bounds what is kept: a model that is asked for is loaded in any case.
* A bundle that changes on disk is loaded beside the old one, which serves until the new one is
  ready. A request keeps the model that it started with.
* A bundle that cannot be read or loaded is an entry like any other, in the state `failed` with
  its reason; it never keeps another bundle from being served.

Everything but the loads themselves runs in the event loop, so nothing here needs a lock.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from maskzoo.service.bundles.aliases import Aliases
from maskzoo.service.bundles.catalog import FolderWatch, FoundBundle, find_bundles
from maskzoo.service.bundles.entries import LoadedModel, ModelEntry, Verdict, short_version
from maskzoo.service.bundles.loading import LoadedBundle, estimate_bytes, load_whole
from maskzoo.service.bundles.memory import release_memory
from maskzoo.service.bundles.segmenter import LoadModel
from maskzoo.service.bundles.table import BundleTable
from maskzoo.service.errors import (
    ModelBrokenError,
    ModelLoadingError,
    ModelUnloadedError,
    NoModelError,
)

logger = logging.getLogger(__name__)

Consent = Callable[[ModelEntry], Awaitable[bool]]
"""Waits until a bundle that was loaded may take over from what serves; False where it may not."""

_LOAD_THREADS = 2
_FIRST_RETRY_S, _LONGEST_RETRY_S = 10.0, 300.0  # the time doubles with each failure
_MOST_FAILURES = 10  # more change nothing


class ModelManager:
    """Finds and loads the bundles below some folders.

    Args:
        folders: bundles, or folders of bundles; the first of two equal names wins.
        load: makes a predictor of a bundle's folder; runs in a thread.
        default: the model of a request that names none; None chooses the first usable one.
        wait_s: how long `get` waits for a model that is being loaded.
        max_bytes: memory of all loaded models; None keeps them all.
        pinned: names of models that are never dropped.
        aliases: alias -> model.
        clock: for the order of use.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        load: LoadModel,
        default: str | None = None,
        wait_s: float = 20,
        max_bytes: int | None = None,
        pinned: Collection[str] = (),
        aliases: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.table = BundleTable(find_bundles(folders), default=default, aliases=aliases)
        self.max_bytes = max_bytes
        self.consent: Consent = _consent_alone
        self.evictions: Counter[str] = Counter()
        self._load = load
        self._wait_s = wait_s
        self._pinned = tuple(pinned)
        self._clock = clock
        self._loader = ThreadPoolExecutor(_LOAD_THREADS, thread_name_prefix="load")
        self._loads: dict[ModelEntry, asyncio.Task[None]] = {}
        self._preloading: list[asyncio.Task[None]] = []
        self._watch = FolderWatch(folders)
        for folder in folders:
            if not folder.is_dir():
                logger.warning("event=no_such_folder path=%s", folder)

    @property
    def entries(self) -> Mapping[str, ModelEntry]:
        """The models by their public names."""
        return self.table.named

    @property
    def aliases(self) -> Aliases:
        """The aliases of models."""
        return self.table.aliases

    @property
    def default_name(self) -> str | None:
        """The model of a request that names none."""
        return self.table.default_name

    @property
    def num_bytes(self) -> int:
        """Memory of all models that are loaded."""
        return sum(entry.num_bytes or 0 for entry in self.table)

    def entry(self, name: str) -> ModelEntry:
        """Look a model up by its name, `name@version` or an alias.

        Raises:
            UnknownNameError: there is no such model.
        """
        return self.table.resolve(name)

    def is_loading(self, entry: ModelEntry) -> bool:
        """Whether a bundle is being loaded, also beside the model that serves."""
        return entry in self._loads

    def is_pinned(self, entry: ModelEntry) -> bool:
        """Whether a model is never dropped to make room."""
        return any(
            self.aliases.resolve(name) in (entry.name, entry.full_name) for name in self._pinned
        )

    async def get(self, name: str | None = None) -> LoadedModel:
        """Return a model; load it first if it is not in memory. One load serves all who wait.

        Raises:
            UnknownNameError: there is no such model.
            NoModelError: the server has no model at all.
            ModelBrokenError: the bundle cannot be used.
            ModelUnloadedError: an operator has unloaded it.
            ModelLoadingError: it was not ready in time.
        """
        name = name or self.default_name
        if name is None:
            raise NoModelError("no bundle was found; set MASKZOO_BUNDLES to a folder of bundles")
        entry = self.entry(name)
        entry.last_used = self._clock()
        if entry.state == "unloaded":
            raise ModelUnloadedError(entry.name)
        if entry.loaded is None and (entry.state != "failed" or self._retry_in_s(entry) <= 0):
            await asyncio.wait([self._start(entry)], timeout=self._wait_s)
        if entry.loaded is not None:
            return replace(entry.loaded, name=entry.name)  # other versions change who is bare
        if entry.state == "failed":
            retry_after_s = max(1, math.ceil(self._retry_in_s(entry)))
            raise ModelBrokenError(name, entry.reason or "", retry_after_s)
        raise ModelLoadingError(name, retry_after_s=max(1, round(self._wait_s)))

    async def load(self, name: str) -> ModelEntry:
        """Load a model, even one that was unloaded or has failed; wait for it as `get` does.

        Raises:
            UnknownNameError: there is no such model.
        """
        entry = self.entry(name)
        if entry.loaded is None:
            entry.reason = None
            await asyncio.wait([self._start(entry)], timeout=self._wait_s)
        return entry

    async def unload(self, name: str) -> ModelEntry:
        """Drop a model until `load` is called; requests that use it finish.

        Raises:
            UnknownNameError: there is no such model.
        """
        entry = self.entry(name)
        await self.take_out(entry)
        return entry

    async def take_out(self, entry: ModelEntry) -> None:
        """Drop a model until it is loaded again; requests that use it finish."""
        task = self._loads.get(entry)
        if task is not None:
            await asyncio.wait([task])
        self._drop(entry, "admin")
        entry.state = "unloaded"

    def bring_back(self, entry: ModelEntry) -> None:
        """Start loading a model that was taken out."""
        self._start(entry)

    def preload(self) -> None:
        """Start loading the models with bare names, as many as fit; `is_ready` waits for them.

        Pinned models come first, then the default one.
        """
        first = [self.entries.get(self.default_name or "")]
        pinned = [entry for entry in self.entries.values() if self.is_pinned(entry)]
        others = [entry for name, entry in self.entries.items() if "@" not in name]
        room = self.max_bytes
        for entry in dict.fromkeys([*pinned, *first, *others]):
            if entry is None or entry.state != "found":
                continue
            need = estimate_bytes(entry)
            if room is not None:
                if need > room and entry not in pinned:
                    continue
                room -= need
            self._preloading.append(self._start(entry))

    @property
    def is_preloading(self) -> bool:
        """Whether a model that is loaded at the start still is."""
        return not all(task.done() for task in self._preloading)

    def is_ready(self) -> bool:
        """Whether a model can be used and none is still being preloaded."""
        if self.is_preloading:
            return False
        return any(entry.state not in ("failed", "unloaded") for entry in self.entries.values())

    async def watch(self, interval_s: float) -> None:
        """Poll the folders until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            try:
                await self.rescan()
            except Exception:  # the next poll may succeed; current models keep serving
                logger.exception("event=rescan_failed")

    async def rescan(self) -> None:
        """Apply what changed on disk, once two polls have seen the same."""
        known = self.table.fingerprints
        loop = asyncio.get_running_loop()
        changes = await loop.run_in_executor(self._loader, self._watch.poll, known)
        for path, bundle in changes.items():
            self._apply(path, bundle)

    def close(self) -> None:
        """Cancel loads that have not started; the threads end when their loads do."""
        self._loader.shutdown(wait=False, cancel_futures=True)

    def _apply(self, path: Path, bundle: FoundBundle | None) -> None:
        """Bring the table up to date with one path, where a bundle is new, changed or gone."""
        entry = self.table.at(path)
        if bundle is None:
            if entry is not None:
                self.table.remove(entry)
                self._drop(entry, "removed")
        elif entry is not None and (entry.loaded is not None or entry.state == "loading"):
            # The same entry is loaded again and keeps its model until then: nobody is refused.
            # The fingerprint is noted now, so that the next poll does not start a second load.
            entry.fingerprint = bundle.fingerprint
            self._start(entry, again=True)
        else:
            # Nothing of it is in memory, so a fresh entry costs nothing and reads the new record.
            # What an operator unloaded stays unloaded: a new file is not an order to load.
            is_out = entry is not None and entry.state == "unloaded"
            self._start_new(self.table.add(bundle, is_out=is_out))

    def _retry_in_s(self, entry: ModelEntry) -> float:
        """Return the seconds until a failed bundle is tried again; the disk may be back by then."""
        doublings = max(0, entry.num_failures - 1)
        wait_s: float = min(_FIRST_RETRY_S * 2**doublings, _LONGEST_RETRY_S)
        return entry.failed_at + wait_s - self._clock()

    def _start_new(self, entry: ModelEntry) -> None:
        """Load a new bundle where it takes over a name, or where everything is kept loaded."""
        if entry.state == "found" and (
            entry.is_waiting or (self._preloading and not self.max_bytes)
        ):
            self._start(entry)

    def _start(self, entry: ModelEntry, *, again: bool = False) -> asyncio.Task[None]:
        task = self._loads.get(entry)
        if task is None or again:
            if entry.loaded is None:
                entry.state = "loading"
            task = asyncio.create_task(self._run_load(entry, after=task), name=f"load {entry.name}")
            self._loads[entry] = task
        return task

    async def _run_load(self, entry: ModelEntry, after: asyncio.Task[None] | None) -> None:
        if after is not None:
            await asyncio.wait([after])
        may_serve = True
        try:
            loaded = await self._load_whole(entry)
            if entry.loaded is not None or entry.is_waiting:
                may_serve = await self.consent(entry)
        except Exception as error:
            entry.is_waiting = False
            entry.num_failures = min(entry.num_failures + 1, _MOST_FAILURES)
            entry.failed_at = self._clock()
            entry.fail(error)
            self.table.publish()
            return
        finally:
            if self._loads.get(entry) is asyncio.current_task():
                del self._loads[entry]
        if self.table.at(entry.path) is not entry or not may_serve:
            return  # it was removed meanwhile, or there is a newer one
        self._settle(entry, loaded)
        self._make_room(0, keep=entry)

    async def _load_whole(self, entry: ModelEntry) -> LoadedBundle:
        """Load a bundle in a thread, and note how that ended."""
        fingerprint = entry.fingerprint
        try:
            self._make_room(estimate_bytes(entry), keep=entry)
            loop = asyncio.get_running_loop()
            loaded = await loop.run_in_executor(self._loader, load_whole, self._load, entry.path)
        except Exception as error:
            entry.verdict = Verdict(fingerprint, entry.reason_of(error))
            raise
        entry.verdict = Verdict(fingerprint)
        return loaded

    def _settle(self, entry: ModelEntry, new: LoadedBundle) -> None:
        """Let the new model serve, in one step of the event loop."""
        replaced = entry.loaded is not None
        entry.manifest, entry.base, entry.reason = new.manifest, new.manifest.name, None
        if not entry.is_numbered:
            entry.version = short_version(new.manifest)
        entry.state, entry.is_waiting, entry.num_failures = "ready", False, 0
        entry.loaded = LoadedModel(
            name=entry.name,
            version=entry.version,
            manifest=new.manifest,
            predictor=new.predictor,
            num_bytes=new.num_bytes,
            load_s=new.load_s,
        )
        self.table.publish()
        logger.info(
            "event=model_ready model=%s version=%s load_s=%.2f bytes=%d replaced=%s",
            entry.name,
            entry.version,
            new.load_s,
            new.num_bytes,
            replaced,
        )
        if replaced:
            self._release()

    def _make_room(self, need: int, keep: ModelEntry) -> None:
        """Drop the least recently used models until `need` more bytes fit."""
        if self.max_bytes is None:
            return
        while self.num_bytes + need > self.max_bytes:
            loaded = [
                entry
                for entry in self.table
                if entry.loaded and entry is not keep and not self.is_pinned(entry)
            ]
            if not loaded:
                return
            self._drop(min(loaded, key=lambda entry: entry.last_used), "memory")

    def _drop(self, entry: ModelEntry, reason: str) -> None:
        if entry.loaded is None:
            return
        logger.info(
            "event=model_evicted model=%s reason=%s bytes=%d", entry.name, reason, entry.num_bytes
        )
        entry.loaded, entry.state = None, "found"
        self.evictions[reason] += 1
        self._release()

    def _release(self) -> None:
        """Return memory to the system in a thread; models still in use keep theirs."""
        self._loader.submit(release_memory)


async def _consent_alone(_: ModelEntry) -> bool:
    return True
