"""Aliases of models, such as `prod` for `cells@2`, so that clients need not know versions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from maskzoo.service.errors import AliasError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Aliases:
    """The table of aliases; an alias stands for a model, never for another alias.

    Args:
        table: alias -> model, `name` or `name@version`. A target may be missing for now.
    """

    def __init__(self, table: Mapping[str, str]) -> None:
        self.table: dict[str, str] = {}
        for alias, target in table.items():
            self.set(alias, target)

    def resolve(self, name: str) -> str:
        """Return the model that a name stands for; the name itself where it is not an alias."""
        return self.table.get(name, name)

    def set(self, alias: str, target: str, *, taken: Collection[str] = ()) -> None:
        """Add or change an alias.

        Raises:
            AliasError: the name is not allowed or `taken`, or the target is an alias.
        """
        self.check(alias, target, taken=taken)
        self.table[alias] = target

    def check(self, alias: str, target: str, *, taken: Collection[str] = ()) -> None:
        """Raise what `set` raises."""
        if not _NAME.fullmatch(alias):
            raise AliasError(
                f"alias {alias!r} is not allowed: 1 to 64 of a-z, 0-9, '.', '_' and '-', starting "
                "with a letter or digit"
            )
        if alias in taken:
            raise AliasError(f"{alias!r} is the name of a model; choose another alias")
        if target in self.table or target == alias:
            raise AliasError(f"{target!r} is an alias; name the model that it stands for")

    def remove(self, alias: str) -> None:
        """Remove an alias.

        Raises:
            AliasError: there is no such alias.
        """
        self.check_known(alias)
        del self.table[alias]

    def check_known(self, alias: str) -> None:
        """Raise what `remove` raises."""
        if alias not in self.table:
            known = ", ".join(sorted(self.table)) or "none"
            raise AliasError(f"there is no alias {alias!r}; known: {known}")

    def of(self, *names: str) -> list[str]:
        """Return the aliases of a model, by any of its names."""
        return [alias for alias, target in self.table.items() if target in names]
