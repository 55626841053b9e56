"""Display of a run: a live bar in a terminal, lines elsewhere, and tables."""

from __future__ import annotations

import io
import time
from dataclasses import dataclass

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

_PLAIN_EVERY_S = 15.0


@dataclass
class Status:
    """The figures of a run at one moment.

    Attributes:
        loss: running mean.
        mean_iou: of the last validation.
        images_per_s: training images, validation time left out.
        wait_fraction: fraction of the time spent waiting for data, 0..1.
    """

    step: int
    total_steps: int
    epoch: float
    loss: float | None = None
    mean_iou: float | None = None
    images_per_s: float = 0.0
    wait_fraction: float = 0.0

    def text(self) -> str:
        """Return the figures as one short line."""
        loss = "-" if self.loss is None else f"{self.loss:.4f}"
        iou = "-" if self.mean_iou is None else f"{self.mean_iou:.4f}"
        return (
            f"epoch {self.epoch:.1f}  loss {loss}  mean IoU {iou}  "
            f"{self.images_per_s:.1f} images/s  waiting for data {self.wait_fraction:.0%}"
        )


class Display:
    """Show progress on `console`; only rank 0 shows anything.

    Args:
        console: where to; a bar is drawn if it is a terminal.
        enabled: false on the other ranks.
    """

    def __init__(self, console: Console | None = None, *, enabled: bool = True) -> None:
        self.console = console or Console(soft_wrap=True)
        self.enabled = enabled
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._started = self._last_line = time.monotonic()
        self._first_step: int | None = None

    def start(self, status: Status) -> None:
        """Begin at `status`."""
        self._started = time.monotonic()
        self._first_step = status.step
        if self.enabled and self.console.is_terminal:
            self._bar = Progress(
                TextColumn("training"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
                console=self.console,
            )
            self._task = self._bar.add_task(
                status.text(), total=status.total_steps, completed=status.step
            )
            self._bar.start()

    def update(self, status: Status) -> None:
        """Show `status`; without a terminal a line every 15 s and at the end."""
        if not self.enabled:
            return
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=status.step, description=status.text())
            return
        now = time.monotonic()
        if now - self._last_line >= _PLAIN_EVERY_S or status.step == status.total_steps:
            self._last_line = now
            left = self._left(status, now)
            self.notify(f"step {status.step}/{status.total_steps}  {status.text()}  left {left}")

    def notify(self, text: str) -> None:
        """Print one line above the bar."""
        if self.enabled:
            self.console.print(text, markup=False, highlight=False)

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _left(self, status: Status, now: float) -> str:
        done = status.step - (self._first_step or 0)
        if done <= 0:
            return "-"
        seconds = (now - self._started) / done * (status.total_steps - status.step)
        return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


def table_text(table: Table) -> str:
    """Return a table as text of at most 100 columns."""
    text = io.StringIO()
    Console(file=text, width=100).print(table)
    return text.getvalue()
