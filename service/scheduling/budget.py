"""The budget of bytes: all request bodies that are held in memory at the same time.

A body counts as it arrives, chunk by chunk, and until its request is over. What a client merely
announces counts nothing: otherwise a few announcements would keep everybody else out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from maskzoo.service.errors import OverloadedError

_RETRY_AFTER_S = 2  # bodies are read within seconds; how long the others take is not known


class ByteBudget:
    """Counts bytes up to a limit.

    Args:
        max_bytes: of all bodies together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used = 0

    def take(self, num_bytes: int) -> None:
        """Count more bytes.

        Raises:
            OverloadedError: there is no room for them; nothing was counted.
        """
        self.check(self.used + num_bytes)
        self.used += num_bytes

    def check(self, num_bytes: int) -> None:
        """Raise if so many bytes in all are too many.

        Raises:
            OverloadedError: they are.
        """
        if num_bytes > self.max_bytes:
            raise OverloadedError(_RETRY_AFTER_S)

    def give_back(self, num_bytes: int) -> None:
        """Count bytes no longer."""
        self.used -= num_bytes


Held = Literal["bodies", "answers"]
"""What bytes are held for."""

MakeBudget = Callable[[Held, int], ByteBudget]
"""Makes the budget of so many bytes."""


def alone(_: Held, max_bytes: int) -> ByteBudget:
    """Make a budget of this process alone, as `MakeBudget`."""
    return ByteBudget(max_bytes)
