"""Reading a dataset.yaml."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from maskzoo.models.errors import DataError, SpecError, did_you_mean
from maskzoo.training.data.records.description import (
    FILE_NAME,
    ClassEntry,
    Description,
    SplitRule,
)


def read_description(path: Path) -> Description:
    """Read a dataset.yaml.

    Raises:
        SpecError: with every mistake and, for a key that does not exist, the closest one.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SpecError(str(path), ["the file does not exist"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpecError(str(path), [f"is no YAML: {error}"]) from error
    if not isinstance(content, dict):
        raise SpecError(str(path), ["must hold keys and values, see docs"])
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        raise SpecError(str(path), [_explain(entry) for entry in error.errors()]) from error


def _explain(entry: ErrorDetails) -> str:
    place = ".".join(str(part) for part in entry["loc"]) or "the file"
    if entry["type"] == "extra_forbidden":
        key = str(entry["loc"][-1])
        fields = {**Description.model_fields, **ClassEntry.model_fields, **SplitRule.model_fields}
        return f"{place}: unknown key{did_you_mean(key, sorted(fields))}"
    return f"{place}: {str(entry['msg']).removeprefix('Value error, ')}"


def find_description(root: Path, description: Path | None) -> tuple[Path, Description]:
    """Return the data's folder and its description (an empty one if there is none).

    Args:
        root: the folder, or a dataset.yaml.
        description: a dataset.yaml that lies elsewhere.

    Raises:
        DataError: there is no such folder.
        SpecError: the description is wrong.
    """
    if description is None and root.suffix.lower() in (".yaml", ".yml"):
        content = read_description(root)
        return root.parent / content.root, content
    if not root.is_dir():
        raise DataError(f"{str(root)!r} is no folder; give the folder that holds images and masks")
    path = description or root / FILE_NAME
    if description is None and not path.is_file():
        return root, Description()
    return root, read_description(path)
