"""The progress of a job, and how its work is stopped."""

from __future__ import annotations

import pytest

from maskzoo.service.errors import StoppedError
from maskzoo.service.jobs.progress import JobProgress


def test_tiles_are_counted() -> None:
    progress = JobProgress()
    progress.on_tile(3, 12)
    assert (progress.done, progress.total) == (3, 12)


def test_stopped_work_ends_at_its_next_tile_and_a_waiting_thread_is_woken() -> None:
    woken: list[bool] = []
    progress = JobProgress(on_stop=lambda: woken.append(True))
    progress.check()
    progress.stop()
    assert woken == [True]
    with pytest.raises(StoppedError, match="the job was stopped"):
        progress.on_tile(4, 12)
    assert progress.done == 4, "the tile that was done counts"
