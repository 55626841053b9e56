"""Reading of the dataset.yaml that describes a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from maskzoo.models.errors import DataError, SpecError, did_you_mean
from maskzoo.training.data.files.text import read_yaml
from maskzoo.training.data.records.description import (
    FILE_NAME,
    ClassEntry,
    Description,
    SplitRule,
)


def find_description(root: Path, description: Path | None = None) -> tuple[Path, Description]:
    """Return the folder of the data and its description, an empty one if there is none.

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
        raise DataError(
            f"{str(root)!r} is not a folder; give the folder that holds images and masks"
        )
    path = description or root / FILE_NAME
    if description is None and not path.is_file():
        return root, Description()
    return root, read_description(path)


def read_description(path: Path) -> Description:
    """Read a dataset.yaml.

    Raises:
        SpecError: lists every mistake and, for an unknown key, the closest known one.
    """
    if not path.is_file():
        raise SpecError(str(path), ["the file does not exist; check its path"])
    try:
        content = read_yaml(path)
    except DataError as error:
        raise SpecError(str(path), [str(error).removeprefix(f"{path}: ")]) from None
    if not isinstance(content, dict):
        raise SpecError(str(path), ["the file must hold keys and values, as in `name: street`"])
    try:
        return Description.model_validate(content)
    except ValidationError as error:
        mistakes = [line for entry in error.errors() for line in _mistakes_in(entry)]
        raise SpecError(str(path), mistakes) from error


def _mistakes_in(entry: ErrorDetails) -> Iterator[str]:
    """Yield the mistakes that one error of the validation stands for."""
    place = ".".join(str(part) for part in entry["loc"])
    prefix = f"{place}: " if place else ""
    if entry["type"] == "extra_forbidden":
        key = str(entry["loc"][-1])
        fields = {**Description.model_fields, **ClassEntry.model_fields, **SplitRule.model_fields}
        yield f"{prefix}unknown key{did_you_mean(key, sorted(fields))}"
        return
    for line in str(entry["msg"]).removeprefix("Value error, ").splitlines():
        yield prefix + line
