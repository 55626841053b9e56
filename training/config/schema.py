"""JSON Schema of the configuration, for editors.

`python -m maskzoo.training.config.schema` writes it to docs.

An editor that is told of it completes keys and shows mistakes in a run's YAML file::

    # yaml-language-server: $schema=docs/train-config.schema.json

The description of each field is what the class's docstring says under `Args:`.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from maskzoo.training.config.settings import TrainConfig

PATH = Path(__file__).resolve().parents[2] / "docs" / "train-config.schema.json"
_ENTRY = re.compile(r"^ {4}(\w[\w, ]*): (.*)$")


def schema() -> dict[str, Any]:
    """Return the JSON Schema of `TrainConfig` with a description for each field that has one."""
    document = TrainConfig.model_json_schema()
    for model in _models(TrainConfig):
        part = document if model is TrainConfig else document["$defs"][model.__name__]
        texts = field_descriptions(model)
        part["description"] = inspect.cleandoc(model.__doc__ or "").split("\n\n")[0]
        for name, text in texts.items():
            part["properties"][name]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def schema_text() -> str:
    """Return the schema as the file that lies in docs."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def field_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstring of `model` says of its fields, by name."""
    _, _, section = inspect.cleandoc(model.__doc__ or "").partition("Args:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        entry = _ENTRY.match(line)
        if entry:
            names = [name.strip() for name in entry[1].split(",")]
            found |= dict.fromkeys(names, entry[2].strip())
        elif line.strip():
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
    return {name: text for name, text in found.items() if name in model.model_fields}


def _models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """Return `root` and every record that its fields hold, each once."""
    found = [root]
    for model in found:
        for field in model.model_fields.values():
            for kind in _classes(field.annotation):
                if kind not in found:
                    found.append(kind)
    return found


def _classes(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _classes(part)]


if __name__ == "__main__":
    PATH.write_text(schema_text(), encoding="utf-8")
