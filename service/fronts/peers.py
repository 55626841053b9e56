"""One administration of all owners: each change is made by all of them, or by none.

The owner that is asked checks a change with all that run, writes down what is decided then, and
only then lets all make it. One that ends in between misses nothing: its successor reads what was
decided, once before it loads anything and once more when the others can reach it.

A bundle that changes on disk is loaded by each owner beside the old one, which serves until all
that run have the new one. Where one of them cannot load it, all keep the old one.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from maskzoo.models.errors import BundleError
from maskzoo.models.files import replace_file
from maskzoo.service.bundles.administration import Administration, Change, Decisions, Outcome
from maskzoo.service.bundles.entries import ModelEntry
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.errors import OwnerGoneError, StoppedError
from maskzoo.service.fronts.remote import Lines

_FILE, _LOCK = "decisions.json", "decisions.lock"
_VOTE_S = 0.05


class SharedAdministration(Administration):
    """The administration of all owners, as one of them does it.

    Args:
        manager: of the models of this one.
        number: of this one.
        lines: to all of them.
        folder: where the decisions are kept while the service runs.
    """

    def __init__(self, manager: ModelManager, *, number: int, lines: Lines, folder: Path) -> None:
        super().__init__(manager)
        self._number = number
        self._lines = lines
        self._file = folder / _FILE
        self._lock_file = folder / _LOCK
        self._lock = asyncio.Lock()
        manager.consent = self._wait_for_others
        decided = self._read()
        if decided is not None:  # before anything is loaded
            manager.aliases.table = dict(decided.aliases)
            for entry in manager.table:
                if str(entry.path) in decided.unloaded and entry.state == "found":
                    entry.state = "unloaded"

    async def make(self, change: Change) -> Outcome:
        """Make a change everywhere, or nowhere; a model that one owner cannot load stays out.

        Raises:
            UnknownNameError: an owner has no such model (yet).
            AliasError: the alias is not allowed, is the name of a model, or is not there.
        """
        async with self._alone():
            self.check(change)
            if change.do in ("load", "unload"):  # a bare name may mean another version there
                name = self.manager.entry(change.name).full_name
                change = change.model_copy(update={"name": name})
            await self._ask_others(_step("check", change))
            before, after = self.decisions(), self._decided_by(change)
            self._write(after)
            outcomes = await self._make_all(change)
            failed = next((one for one in outcomes if one.state == "failed"), None)
            if failed is not None and after.unloaded != before.unloaded:
                self._write(before)
                await self._make_all(change.model_copy(update={"do": "unload"}))
                return Outcome("unloaded", failed.reason)
        states = [one.state for one in outcomes]
        return outcomes[states.index("loading")] if "loading" in states else failed or outcomes[0]

    async def catch_up(self) -> None:
        """Decide as was decided while this owner started; called when the others can reach it."""
        decided = self._read()
        if decided is not None:
            await self.adopt(decided)

    async def _make_all(self, change: Change) -> list[Outcome]:
        """Make a change here and at all others."""
        asking = self._ask_others(_step("apply", change))
        here, others = await asyncio.gather(self.apply(change), asking)
        return [here, *others]

    async def _wait_for_others(self, entry: ModelEntry) -> bool:
        """Wait until all owners have loaded a bundle; False if it has changed again meanwhile.

        Raises:
            BundleError: another owner cannot load it.
        """
        verdict = entry.verdict
        assert verdict is not None, "it was loaded"
        fingerprint = repr(verdict.fingerprint)
        facts = {"do": "vote", "path": str(entry.path), "fingerprint": fingerprint}
        while verdict.fingerprint == entry.fingerprint and self.manager.table.at(entry.path):
            try:
                votes = await self._ask_others(facts)
            except StoppedError:
                return False  # the service ends
            for vote in votes:
                if vote.state == "failed":
                    raise BundleError(vote.reason or "")
            if all(vote.state == "ready" for vote in votes):
                return True
            await asyncio.sleep(_VOTE_S)
        return False

    async def _ask_others(self, facts: Mapping[str, Any]) -> list[Outcome]:
        """Ask all other owners that run, at the same time.

        Raises:
            Exception: what the first of them raised; all have answered by then.
        """
        page = self._lines.page
        others = [one for one in range(page.owners) if one != self._number and page.runs(one)]
        answers = await asyncio.gather(
            *(self._lines.ask(other, facts) for other in others), return_exceptions=True
        )
        outcomes = []
        for other, answer in zip(others, answers, strict=True):
            if isinstance(answer, OwnerGoneError):
                continue  # its successor reads what is decided
            if isinstance(answer, BaseException):
                raise answer
            state, reason = answer.facts.get("state"), answer.facts.get("reason")
            outcomes.append(Outcome(state, reason and f"owner {other}: {reason}"))
        return outcomes

    def _decided_by(self, change: Change) -> Decisions:
        """Return what is decided once a change is made."""
        now = self.decisions()
        aliases, unloaded = dict(now.aliases), set(now.unloaded)
        match change.do:
            case "set_alias":
                aliases[change.name] = change.target
            case "remove_alias":
                del aliases[change.name]
            case "load":
                unloaded.discard(str(self.manager.entry(change.name).path))
            case "unload":
                unloaded.add(str(self.manager.entry(change.name).path))
        return Decisions(aliases=aliases, unloaded=frozenset(unloaded))

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """Let no other change be made during the block, here or by another owner."""
        async with self._lock:
            with self._lock_file.open("w") as file:
                await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
                yield

    def _read(self) -> Decisions | None:
        try:
            return Decisions.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None

    def _write(self, decisions: Decisions) -> None:
        replace_file(self._file, decisions.model_dump_json().encode())


def _step(step: Literal["check", "apply"], change: Change) -> dict[str, Any]:
    return {"do": "change", "step": step, "change": change.model_dump()}
