"""The word `auto`: a value of a configuration that is left to `training.plan`."""

from __future__ import annotations

from typing import Literal, TypeVar, cast

Auto = Literal["auto"]
T = TypeVar("T")


def resolved(value: T | Auto) -> T:
    """Return a value of a configuration that `training.plan` has gone over."""
    assert value != "auto", "training.plan resolves every value before it is used"
    return cast(T, value)
