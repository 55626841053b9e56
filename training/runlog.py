"""log.jsonl: one JSON object for each logged step and each validation of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class RunLog:
    """Append records to a file.

    Args:
        path: the file; records after `step` are cut off, as a resumed run writes them again.
        step: the step at which the run goes on.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self.path = path
        kept = [record for record in read_log(path) if record["step"] <= step and step > 0]
        path.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one record; `kind` is ``train`` or ``val``."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "step": step, **values}) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log; a torn last line, as after a power cut, is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
