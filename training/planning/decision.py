"""One decision of a plan: a value, its reason, and the key that changes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decision:
    """A chosen value, its reason, and the key that changes it."""

    key: str
    value: Any
    why: str

    @property
    def shown(self) -> str:
        """The value as text: a loss as a sum, a long list by its first numbers."""
        if not isinstance(self.value, tuple | list):
            return str(self.value)
        if all(isinstance(item, dict) for item in self.value):
            return " + ".join(f"{item['weight']:g} {item['name']}" for item in self.value)
        first = ", ".join(f"{item:g}" for item in self.value[:6])
        return first + (f" … ({len(self.value)})" if len(self.value) > 6 else "")
