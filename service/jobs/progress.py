"""Progress of a job, shared by its worker thread and the event loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from maskzoo.service.errors import StoppedError


@dataclass
class JobProgress:
    """Progress of a job; its thread writes, the loop reads and may stop it.

    Args:
        on_stop: called by `stop`, to wake the thread if it waits for the network.
    """

    done: int = 0
    total: int = 0
    is_stopped: bool = False
    on_stop: Callable[[], None] = lambda: None

    def on_tile(self, done: int, total: int) -> None:
        """Record the number of finished tiles and of all tiles.

        Raises:
            StoppedError: the job was stopped.
        """
        self.done, self.total = done, total
        self.check()

    def check(self) -> None:
        """Raise `StoppedError` if the job was stopped."""
        if self.is_stopped:
            raise StoppedError("the job was stopped")

    def stop(self) -> None:
        """End the work at its next tile."""
        self.is_stopped = True
        self.on_stop()
