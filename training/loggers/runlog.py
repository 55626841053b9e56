"""log.jsonl: one JSON object for each logged step and each validation of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from maskzoo.training.loggers.sinks import Sink


class RunLog:
    """Appends records to a file and passes them on to the sinks.

    Args:
        path: the file; records after `step` are cut off, as a resumed run writes them again.
        step: the step at which the run continues.
        sinks: further receivers; those that restart get the earlier records again.
    """

    def __init__(self, path: Path, *, step: int, sinks: Sequence[Sink] = ()) -> None:
        self.path = path
        self._sinks = sinks
        kept = [record for record in read_log(path) if record["step"] <= step and step > 0]
        path.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
        for sink in sinks:
            for record in kept if sink.starts_anew else ():
                sink.write(record)

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append one record; `kind` is ``train`` or ``val``."""
        record = {"kind": kind, "step": step, **values}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        for sink in self._sinks:
            sink.write(record)

    def close(self) -> None:
        """Close the sinks."""
        for sink in self._sinks:
            sink.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the records of a log; an incomplete last line, as after a power cut, is left out."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return records
