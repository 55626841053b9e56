"""The processes of a service that was started by `maskzoo serve`."""

from __future__ import annotations

from tests.service.process import Server


def parts_of(server: Server) -> dict[str, int]:
    """Return the process of each part, as the log says."""
    found = {}
    for line in server.text().splitlines():
        if "event=process_started" in line:
            words = dict(word.split("=", 1) for word in line.split() if "=" in word)
            found[words["part"]] = int(words["pid"])
    return found
