"""The progress of a job, between the thread that works on it and the loop that watches it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from maskzoo.service.errors import StoppedError


@dataclass
class JobProgress:
    """How far a job is; its thread writes, the loop reads and may stop it.

    Args:
        on_stop: called by `stop`, to wake a thread that waits for the network.
    """

    done: int = 0
    total: int = 0
    is_stopped: bool = False
    on_stop: Callable[[], None] = lambda: None

    def on_tile(self, done: int, total: int) -> None:
        """Take note of the tiles that are done, and of their number.

        Raises:
            StoppedError: nobody wants the rest.
        """
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raise `StoppedError` if nobody wants the rest."""
        if self.is_stopped:
            raise StoppedError("the job was stopped")

    def stop(self) -> None:
        """End the work at its next tile."""
        self.is_stopped = True
        self.on_stop()
