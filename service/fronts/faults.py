"""Errors as messages: what an owner raises is raised again in the front that asked.

An error of ours arrives as what it was, with its text and its facts, so that it gets the same
problem document there. Of any other, only that it happened is told; the owner's log has the rest.
"""

from __future__ import annotations

import json
from typing import Any

from maskzoo.models import errors as zoo
from maskzoo.models.errors import ZooError
from maskzoo.models.memory import is_out_of_memory
from maskzoo.service import errors

_NO_MEMORY = "MemoryError"
_KINDS: dict[str, type[ZooError]] = {
    kind.__name__: kind
    for module in (zoo, errors)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, ZooError)
}


class RemoteFaultError(Exception):
    """A mistake of ours in another process."""


def describe_fault(error: Exception) -> dict[str, Any]:
    """Return an error as JSON; one of ours keeps its class, or the nearest that both ends know."""
    if is_out_of_memory(error):
        return {"fault": _NO_MEMORY}
    if not isinstance(error, ZooError):
        return {"fault": ""}
    kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _KINDS)
    facts = json.loads(json.dumps(vars(error), default=str))
    return {"fault": kind, "text": str(error), "facts": facts}


def fault_in(facts: dict[str, Any]) -> Exception | None:
    """Return the error that a message describes; None where it describes none."""
    name = facts.get("fault")
    if name is None:
        return None
    if name == _NO_MEMORY:
        return MemoryError()
    kind = _KINDS.get(name)
    if kind is None:
        return RemoteFaultError("the process that owns the device failed; its log says how")
    error = kind.__new__(kind)
    error.args = (facts["text"],)
    vars(error).update(facts["facts"])
    return error
