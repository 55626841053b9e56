"""The table of entries of one server, by folder, public name and alias.

Names are looked up in this table only: nothing that a client sends is ever joined to a path.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from maskzoo.models.errors import UnknownNameError
from maskzoo.service.bundles.aliases import Aliases
from maskzoo.service.bundles.catalog import Fingerprint, FoundBundle
from maskzoo.service.bundles.entries import ModelEntry, give_names

logger = logging.getLogger(__name__)


class BundleTable:
    """All entries, shadowed ones too, and their names.

    Args:
        found: the bundles on disk at the start.
        default: the model of a request that names none; None chooses the first usable one.
        aliases: alias -> model.
    """

    def __init__(
        self,
        found: Iterable[FoundBundle],
        *,
        default: str | None = None,
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        self.named: dict[str, ModelEntry] = {}
        self.aliases = Aliases(aliases or {})
        self._default = default
        self._by_path = {bundle.path: ModelEntry.of(bundle) for bundle in found}
        self._shadowed: set[ModelEntry] = set()
        self.publish()

    def __iter__(self) -> Iterator[ModelEntry]:
        """Iterate over all entries, shadowed ones too."""
        return iter(self._by_path.values())

    @property
    def default_name(self) -> str | None:
        """The model of a request that names none; the first that has not failed."""
        if self._default is not None:
            return self._default
        usable = [name for name, entry in self.named.items() if entry.state != "failed"]
        return next(iter(usable or self.named), None)

    @property
    def fingerprints(self) -> dict[Path, Fingerprint]:
        """The fingerprint of each path when it was last read."""
        return {path: entry.fingerprint for path, entry in self._by_path.items()}

    def resolve(self, name: str) -> ModelEntry:
        """Look a model up by its name, `name@version` or an alias.

        Raises:
            UnknownNameError: there is no such model.
        """
        target = self.aliases.resolve(name)
        if target in self.named:
            return self.named[target]
        base, _, version = target.partition("@")
        for entry in self.named.values():
            if version and entry.base == base and entry.meets(version):
                return entry
        raise UnknownNameError("model", name, [*self.named, *self.aliases.table])

    def check_alias(self, alias: str, target: str) -> None:
        """Raise unless `alias` may stand for a model.

        Raises:
            UnknownNameError: there is no such model.
            AliasError: the alias is not allowed, or is the name of a model.
        """
        self.resolve(target)
        self.aliases.check(alias, target, taken={one.base for one in self})

    def at(self, path: Path) -> ModelEntry | None:
        """Return the entry at a path."""
        return self._by_path.get(path)

    def add(self, bundle: FoundBundle, *, is_out: bool) -> ModelEntry:
        """Add a bundle that is new, or whose predecessor at the same path was not loaded.

        Where another version is serving, the new one takes over its name once it is loaded.

        Args:
            is_out: whether an operator had unloaded its predecessor.
        """
        entry = ModelEntry.of(bundle)
        self._by_path[bundle.path] = entry
        if entry.state == "found":
            entry.is_waiting = any(other.base == entry.base and other.loaded for other in self)
            if is_out:
                entry.state = "unloaded"
        self.publish()
        logger.info("event=model_found model=%s path=%s", entry.name, bundle.path)
        return entry

    def remove(self, entry: ModelEntry) -> None:
        """Remove an entry whose folder is gone."""
        logger.info("event=model_removed model=%s path=%s", entry.name, entry.path)
        del self._by_path[entry.path]
        self.publish()

    def publish(self) -> None:
        """Assign the names again, after anything that decides about them has changed."""
        self.named = give_names(self)
        shadowed = set(self) - set(self.named.values())
        for entry in shadowed - self._shadowed:
            logger.warning("event=model_shadowed model=%s path=%s", entry.full_name, entry.path)
        self._shadowed = shadowed
