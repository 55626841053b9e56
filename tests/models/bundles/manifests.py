"""Changes stored manifests, for the tests of bundles."""

from __future__ import annotations

import json
from pathlib import Path


def edit(path: Path, **changes: object) -> None:
    """Change keys of a stored manifest; a value of None removes the key."""
    file = path / "bundle.json"
    raw = json.loads(file.read_text())
    raw.update(changes)
    kept = {key: value for key, value in raw.items() if value is not None}
    file.write_text(json.dumps(kept))
