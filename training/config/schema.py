"""JSON Schema of the configuration, for editors.

`python -m maskzoo.training.config.schema` writes it to docs. An editor that knows the schema
completes keys and marks mistakes in a run's YAML file::

    # yaml-language-server: $schema=docs/train-config.schema.json
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from maskzoo.training.config.settings import TrainConfig

PATH = Path(__file__).resolve().parents[2] / "docs" / "train-config.schema.json"


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of `TrainConfig`; its descriptions are the fields' docstrings."""
    document = _one_line(TrainConfig.model_json_schema())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def schema_text() -> str:
    """Return the schema as the file in docs."""
    return json.dumps(config_schema(), indent=1, ensure_ascii=False) + "\n"


def _one_line(part: Any) -> Any:
    """Return a part of the schema without the line breaks of the source in its texts."""
    if isinstance(part, dict):
        return {key: _one_line(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_one_line(value) for value in part]
    return " ".join(part.split()) if isinstance(part, str) else part


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
