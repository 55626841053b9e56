"""`RunPlan`: a configuration with its decisions, and the draft in which they are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, cast

from maskzoo.training.config.run_config import MachineConfig
from maskzoo.training.config.settings import TrainConfig
from maskzoo.training.planning.decision import Decision

OPEN = ("auto", "rule")
"""Words that leave a value to the plan."""

C = TypeVar("C", bound=MachineConfig)
T = TypeVar("T")


@dataclass(frozen=True)
class RunPlan(Generic[C]):
    """A configuration and the decisions that made it.

    `config` is a `MachineConfig` once device and network are decided, and a `RunConfig` at the end.
    """

    config: C
    decisions: tuple[Decision, ...] = ()

    def revised(self, key: str, value: Any, why: str) -> RunPlan[C]:
        """Return the plan with another value and reason for a decided key."""
        values = self.config.model_dump()
        section, leaf = find_key(values, key)
        section[leaf] = value
        kept = [decision for decision in self.decisions if decision.key != key]
        config = type(self.config).model_validate(values)
        return replace(self, config=config, decisions=(*kept, Decision(key, value, why)))


class Draft:
    """A configuration while values are being decided.

    Attributes:
        values: the configuration as nested dicts.
        decisions: in the order in which they were made.
    """

    def __init__(self, config: TrainConfig, decisions: Sequence[Decision] = ()) -> None:
        self.values = config.model_dump()
        self.decisions = list(decisions)

    def decide(self, key: str, value: T, why: str) -> T:
        """Set `key` to `value` if the person left it open; return the resulting value."""
        section, leaf = find_key(self.values, key)
        if section[leaf] not in OPEN:
            return cast(T, section[leaf])
        section[leaf] = value
        self.decisions.append(Decision(key, value, why))
        return value

    def finish(self, kind: type[C]) -> RunPlan[C]:
        """Return the plan; every value that `kind` needs must be decided."""
        return RunPlan(kind.model_validate(self.values), tuple(self.decisions))


def find_key(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """Return the section of a dotted key in nested dicts, and the key's last word."""
    *path, leaf = key.split(".")
    for name in path:
        values = values[name]
    return values, leaf
