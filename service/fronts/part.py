"""`Part`: what one process of a service is, as its supervisor tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

WRONG_INPUT = 2
"""The exit code of a process that cannot work with these settings, however often it is started."""


class Part(BaseModel):
    """What one process is.

    Args:
        number: of this front, or of this owner.
        fronts: how many there are.
        devices: of each owner.
        folder: of the owners' sockets.
        page: descriptor of the shared numbers.
        life: descriptor of a pipe from the supervisor, whose end is that of the supervisor.
        listener: descriptor of the socket that clients connect to.
        image_threads, body_bytes: of all fronts together, as the machine decides.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["front", "owner"]
    number: int
    fronts: int
    devices: tuple[str, ...]
    folder: Path
    page: int
    life: int
    listener: int
    image_threads: int
    body_bytes: int

    @property
    def name(self) -> str:
        """Its name in the log."""
        return f"{self.kind}-{self.number}"

    @property
    def addresses(self) -> list[Path]:
        """Where the owners listen."""
        return [self.folder / f"owner-{number}" for number in range(len(self.devices))]
