"""The transforms of albumentations by name: the only file that imports the package.

The import takes about a second, so it happens on first use.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from maskzoo.models.errors import did_you_mean


def albumentations() -> ModuleType:
    """Return the package."""
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # otherwise the import calls a server
    import albumentations

    package: ModuleType = albumentations
    return package


def list_transforms() -> dict[str, Any]:
    """Return the transforms that keep the size of an image with a mask, by class name."""
    library = albumentations()
    kinds = (library.ImageOnlyTransform, library.DualTransform)
    return {
        name: value
        for name, value in vars(library).items()
        if inspect.isclass(value) and issubclass(value, kinds) and value not in kinds
    }


def has_argument(transform: Any, name: str) -> bool:
    """Return whether the constructor of `transform` has an argument `name`."""
    return name in inspect.signature(transform).parameters


def transform_mistakes(name: str, options: Iterable[str]) -> list[str]:
    """Return the mistakes in a transform's name and in the names of its options."""
    known = list_transforms()
    if name not in known:
        return [f"unknown transform {name!r}{did_you_mean(name, sorted(known))}"]
    allowed = sorted(set(inspect.signature(known[name]).parameters) - {"p"})
    return [
        f"{name} has no argument {option!r}{did_you_mean(option, allowed)}"
        for option in options
        if option not in allowed
    ]
