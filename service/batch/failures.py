"""The list of failures that a batch leaves beside its masks: `failures.jsonl`, one image a line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator

from maskzoo.service.batch.outcome import BatchOutcome
from maskzoo.service.batch.targets import open_target

FAILURES_FILE = "failures.jsonl"


def list_failures(out: str, outcomes: Iterable[BatchOutcome]) -> Iterator[BatchOutcome]:
    """Yield the outcomes; once all are through, the list of this run replaces the one before.

    A run without failures leaves no list. A run that ends early leaves the list before it.

    Args:
        out: folder or URL of the batch.
        outcomes: of a run, from `service.batch.run.predict_on_ray`.
    """
    target = open_target(out)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as listed:
        for outcome in outcomes:
            if outcome.error is not None:
                listed.write(json.dumps(outcome.to_json()) + "\n")
            yield outcome
        if listed.tell() == 0:
            target.remove(FAILURES_FILE)
            return
        listed.seek(0)
        with target.scratch() as scratch:
            made = scratch / FAILURES_FILE
            with made.open("w", encoding="utf-8") as copy:
                copy.writelines(listed)
            target.put(made, FAILURES_FILE)
    target.sweep()
