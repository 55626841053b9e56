"""Log lines: `event=… key=value` for people, one JSON object each for machines.

Modules log `logger.info("event=model_ready model=%s", name)`. As JSON the same line is
`{"event": "model_ready", "model": name, …}`, with the values as they were given. The id of the
request that a line belongs to is added to every line.
"""

from __future__ import annotations

import contextvars
import datetime
import json
import logging
import re
from typing import Any

request_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("request_id", default=None)

_PAIR = re.compile(r"(\w+)=(\S+)")
_TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object on one line."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        document: dict[str, Any] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            **_pairs(record),
        }
        if request_id.get() is not None:
            document.setdefault("request_id", request_id.get())
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def configure(level: str, log_format: str) -> None:
    """Send all logging to standard error, as `text` or as `json`."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter() if log_format == "json" else logging.Formatter(_TEXT_FORMAT)
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _pairs(record: logging.LogRecord) -> dict[str, Any]:
    """Return the keys of the template with the arguments that belong to them."""
    template = str(record.msg)
    if not template.startswith("event=") or isinstance(record.args, dict):
        return {"message": record.getMessage()}
    arguments = iter(record.args or ())
    return {
        key: next(arguments, None) if value.startswith("%") else value
        for key, value in _PAIR.findall(template)
    }
