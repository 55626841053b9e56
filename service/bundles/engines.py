"""Which engine answers for a model, in which precision, and why."""

from __future__ import annotations

import re
from typing import Any

_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/:]+/)+")


def describe_engine(predictor: Any) -> dict[str, str] | None:
    """Return name, precision, weights, device and reason; None where the predictor shows none.

    Folders of the server are no matter of its clients, and left out.
    """
    engine = getattr(predictor, "engine", None)
    if engine is None:
        return None
    choice = engine.choice
    return {
        "name": engine.name,
        "precision": engine.precision,
        "weights": choice.weights if choice else "fp32",
        "device": str(engine.device),
        "reason": _FOLDERS.sub("", choice.reason) if choice else "it was built by hand",
    }
