"""Changes by an operator: models in and out of service, aliases.

A change is checked before it is made, so that several processes can make it together or not at all;
`service.fronts.peers` does that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from maskzoo.service.bundles.entries import State
    from maskzoo.service.bundles.manager import ModelManager


class Change(BaseModel):
    """One change.

    Args:
        name: of the model, or the alias.
        target: what the alias is to mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    do: Literal["load", "unload", "set_alias", "remove_alias"]
    name: str
    target: str = ""


class Decisions(BaseModel):
    """All that an operator has decided so far.

    Args:
        aliases: alias -> model.
        unloaded: folders of the bundles that are out of service.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    aliases: dict[str, str]
    unloaded: frozenset[str]


@dataclass(frozen=True)
class Outcome:
    """The state of a model after a change to it, of all processes; a change of aliases has none."""

    state: State | None = None
    reason: str | None = None


class Administration:
    """Makes changes in this process.

    Args:
        manager: of the models.
    """

    def __init__(self, manager: ModelManager) -> None:
        self.manager = manager

    async def make(self, change: Change) -> Outcome:
        """Make a change.

        Raises:
            UnknownNameError: there is no such model.
            AliasError: the alias is not allowed, is the name of a model, or is not there.
        """
        self.check(change)
        return await self.apply(change)

    def check(self, change: Change) -> None:
        """Raise what `make` raises, and change nothing."""
        match change.do:
            case "set_alias":
                self.manager.table.check_alias(change.name, change.target)
            case "remove_alias":
                self.manager.aliases.check_known(change.name)
            case _:
                self.manager.entry(change.name)

    async def apply(self, change: Change) -> Outcome:
        """Make a change that was checked."""
        match change.do:
            case "set_alias":
                self.manager.aliases.set(change.name, change.target)
            case "remove_alias":
                self.manager.aliases.remove(change.name)
            case "load":
                entry = await self.manager.load(change.name)
                return Outcome(entry.state, entry.reason)
            case "unload":
                entry = await self.manager.unload(change.name)
                return Outcome(entry.state)
        return Outcome()

    def decisions(self) -> Decisions:
        """Return what is decided now."""
        return Decisions(
            aliases=self.manager.aliases.table,
            unloaded=frozenset(
                str(entry.path) for entry in self.manager.table if entry.state == "unloaded"
            ),
        )

    def vote(self, path: Path, fingerprint: str) -> Outcome:
        """Return how far this process is with a bundle that another one has loaded.

        Args:
            fingerprint: of what was loaded there, by `repr`.
        """
        entry = self.manager.table.at(path)
        if entry is None or repr(entry.fingerprint) != fingerprint:
            return Outcome("loading")  # it was not seen here yet
        if entry.verdict is not None and entry.verdict.fingerprint == entry.fingerprint:
            reason = entry.verdict.reason
            return Outcome("failed" if reason else "ready", reason)
        return Outcome("loading" if self.manager.is_loading(entry) else "ready")

    async def adopt(self, decisions: Decisions) -> None:
        """Decide as another process did."""
        self.manager.aliases.table = dict(decisions.aliases)
        for entry in list(self.manager.table):
            is_out = entry.state == "unloaded"
            if str(entry.path) in decisions.unloaded:
                if not is_out:
                    await self.manager.take_out(entry)
            elif is_out:
                self.manager.bring_back(entry)


MakeAdministration = Callable[["ModelManager"], Administration]
"""Makes what changes the models of a manager."""
