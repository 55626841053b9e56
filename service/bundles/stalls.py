"""Watch over steps that may hang: which one it is, and where every thread stands.

A step that hangs may hold the interpreter's lock, and then no Python code runs any more, no handler
of a signal either. So a step is logged before it begins, and the stacks are written by
`faulthandler`, whose thread needs no lock.
"""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from maskzoo.service.bundles.segmenter import LoadModel, Segmenter

logger = logging.getLogger(__name__)


class StallWatch:
    """Watches steps; there is one at work in a process, as there is one timer of `faulthandler`.

    Args:
        after_s: seconds after which a step counts as hanging. It goes on nevertheless.
    """

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self._lock = threading.Lock()
        self._due: dict[object, float] = {}  # of each step, when it counts as hanging

    @contextmanager
    def over(self, step: str, of: object) -> Iterator[None]:
        """Watch the block; it may run in any thread, beside others.

        After `after_s` seconds a line of the log names it, and standard error gets the stacks of
        all threads, once.

        Args:
            step, of: what is done with what, for the log.
        """
        logger.info("event=begun step=%s of=%s", step, of)
        mark = object()
        saying = threading.Timer(self.after_s, self._say, [step, of])
        saying.daemon = True
        saying.start()
        with self._lock:
            self._due[mark] = time.monotonic() + self.after_s
            self._set_timer()
        try:
            yield
        finally:
            saying.cancel()
            with self._lock:
                del self._due[mark]
                self._set_timer()

    def watched(self, load: LoadModel) -> LoadModel:
        """Return `load`, watched."""

        def load_watched(path: Path) -> Segmenter:
            with self.over("load", path):
                return load(path)

        return load_watched

    def _say(self, step: str, of: object) -> None:
        logger.error(
            "event=stalled step=%s of=%s after_s=%g hint=%r",
            step,
            of,
            self.after_s,
            "it goes on; standard error has the stacks of all threads",
        )

    def _set_timer(self) -> None:
        """Let the stacks be written when the next step counts as hanging."""
        if sys.__stderr__ is None:
            return
        now = time.monotonic()
        coming = [due - now for due in self._due.values() if due > now]
        with suppress(ValueError, OSError):  # standard error is closed
            if coming:
                faulthandler.dump_traceback_later(min(coming), file=sys.__stderr__)
            else:
                faulthandler.cancel_dump_traceback_later()
