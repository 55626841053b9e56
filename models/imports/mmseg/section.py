"""One part of a configuration, such as `decode_head`: typed, and every setting accounted for.

A setting that changes the network and that no importer reads would make a wrong network without a
word. So each setting is taken once, and what nobody took is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from maskzoo.models.errors import WeightsError, shown

# Settings that only training reads.
_TRAINING = {
    "avg_non_ignore",
    "frozen_stages",
    "ignore_index",
    "init_cfg",
    "loss_decode",
    "loss_se_decode",
    "norm_eval",
    "pretrained",
    "sampler",
    "train_cfg",
    "with_cp",
    "zero_init_residual",
}


class Section:
    """The settings of one part.

    Args:
        name: where they stand in the configuration.
        values: the settings.

    Attributes:
        kind: the setting `type`, whether it was taken or not.
    """

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        self.name = name
        self.kind = values.get("type")
        self._left = {key: value for key, value in values.items() if key not in _TRAINING}

    def take(self, key: str, default: Any = None) -> Any:
        """Return a setting of any type, or the default where it is absent or None."""
        value = self._left.pop(key, None)
        return default if value is None else value

    def has(self, key: str) -> bool:
        """Tell whether a setting is given, be it None."""
        return key in self._left

    def skip(self, *keys: str) -> None:
        """Pass over settings that the weights tell, or that say nothing about the network."""
        for key in keys:
            self._left.pop(key, None)

    def flag(self, key: str, default: bool) -> bool:
        """Return a setting that is true or false."""
        value = self.take(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "True or False")
        return value

    def count(self, key: str, default: int) -> int:
        """Return a whole number."""
        value = self.take(key, default)
        if type(value) is not int:
            raise self._wrong(key, value, "a whole number")
        return value

    def number(self, key: str, default: float) -> float:
        """Return a number."""
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(key, value, "a number")
        return float(value)

    def counts(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return whole numbers; a single one counts as a list of one."""
        value = self.take(key, default)
        listed = [value] if type(value) is int else value
        if not isinstance(listed, list | tuple) or any(type(item) is not int for item in listed):
            raise self._wrong(key, value, "whole numbers")
        return tuple(listed)

    def word(self, key: str, default: str, known: Collection[str]) -> str:
        """Return one of the known words."""
        value = self.take(key, default)
        if not isinstance(value, str) or value not in known:
            raise self._wrong(key, value, " or ".join(map(repr, known)))
        return value

    def part(self, key: str) -> Mapping[str, Any]:
        """Return a setting that holds settings; empty where it is absent."""
        value = self.take(key, {})
        if not isinstance(value, Mapping):
            raise self._wrong(key, value, "dict(…)")
        return value

    def finish(self) -> None:
        """Raise unless every setting was taken; one that is None is as good as absent.

        Raises:
            WeightsError: names those that were not.
        """
        left = {key: value for key, value in self._left.items() if value is not None}
        if left:
            told = ", ".join(f"{key}={shown(value, most=40)}" for key, value in left.items())
            raise WeightsError(
                f"{self.name} of type {self.kind!r} has settings that maskzoo does not know: "
                f"{told}; the imported network would compute something else"
            )

    def _wrong(self, key: str, value: Any, needed: str) -> WeightsError:
        return WeightsError(f"{self.name}.{key} is {shown(value, most=60)}; maskzoo reads {needed}")
