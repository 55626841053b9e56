"""Decisions for a run: each value with its reason, and the resulting configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from maskzoo.training.config.overrides import merge
from maskzoo.training.config.settings import TrainConfig


@dataclass(frozen=True)
class Decision:
    """One value that was chosen, why, and the key that changes it."""

    key: str
    value: Any
    why: str

    @property
    def shown(self) -> str:
        """The value for a person: a loss as a sum, a long list by its first numbers."""
        if not isinstance(self.value, tuple | list):
            return str(self.value)
        if all(isinstance(item, dict) for item in self.value):
            return " + ".join(f"{item['weight']:g} {item['name']}" for item in self.value)
        first = ", ".join(f"{item:g}" for item in self.value[:6])
        return first + (f" … ({len(self.value)})" if len(self.value) > 6 else "")


@dataclass
class Plan:
    """A configuration without ``"auto"``, and the decisions that made it."""

    config: TrainConfig
    decisions: list[Decision] = field(default_factory=list)

    def decided(self, key: str, value: Any, why: str) -> Plan:
        """Return the plan with one more decision; a value that was given stays."""
        section: Any = self.config
        for name in key.split("."):
            section = getattr(section, name)
        if section not in ("auto", "rule"):
            return self
        values = self.config.model_dump()
        change: Any = value
        for name in reversed(key.split(".")):
            change = {name: change}
        merge(values, change)
        config = TrainConfig.model_validate(values)
        return Plan(config, [*self.decisions, Decision(key, value, why)])
