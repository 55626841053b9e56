"""The word `auto`: a value of a configuration that is left to `training.planning.plan`."""

from __future__ import annotations

from typing import Literal, TypeVar, cast

Auto = Literal["auto"]
T = TypeVar("T")


def resolved(value: T | Auto) -> T:
    """Return a value of a configuration that `training.planning.plan` has gone over."""
    assert value != "auto", "maskzoo.training.planning.plan resolves every value before it is used"
    return cast(T, value)
