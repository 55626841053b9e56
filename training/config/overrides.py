"""Settings as text: dotted `key=value`, merging, and readable error messages.

pydantic reports all mistakes of a record at once, but by the names of union members. Here each
mistake becomes one line with the dotted key, the value and a suggestion.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from maskzoo.models.errors import did_you_mean


def merge(values: dict[str, Any], other: Mapping[str, Any]) -> None:
    """Merge `other` into `values`, section by section."""
    for key, value in other.items():
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            merge(values[key], value)
        else:
            values[key] = dict(value) if isinstance(value, Mapping) else value


def apply_override(values: dict[str, Any], text: str) -> list[str]:
    """Set one ``a.b=value`` in `values`; return the mistakes in it."""
    path, equals, raw = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        return [f"setting {text!r} must read key=value, as optimizer.lr=1e-3"]
    try:
        value = parse_value(raw)
    except yaml.YAMLError as error:
        return [f"{path}: the value {raw!r} is not YAML: {str(error).splitlines()[0]}"]
    section = values
    for key in keys[:-1]:
        inner = section.setdefault(key, {})
        if not isinstance(inner, dict):
            return [f"{path}: {key!r} is a single value, not a section"]
        section = inner
    section[keys[-1]] = value
    return []


def parse_value(text: str) -> Any:
    """Read a value as YAML; `1e-3`, a string in YAML 1.1, is a number here."""
    value = yaml.safe_load(text)
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return value
        return number if math.isfinite(number) else value
    return value


def mistakes_in(error: ValidationError, root: type[BaseModel]) -> list[str]:
    """Return one line for each field that is wrong."""
    reasons: dict[str, list[str]] = {}
    given: dict[str, Any] = {}
    paths = dotted_paths(root)
    for item in error.errors(include_url=False):
        place = _place(item["loc"], paths)
        given.setdefault(place, item["input"])
        if item["type"] == "extra_forbidden":
            reasons[place] = ["unknown key" + suggest_key(place, paths)]
        else:
            reasons.setdefault(place, []).append(item["msg"][:1].lower() + item["msg"][1:])
    lines = []
    for place, texts in reasons.items():
        value = "" if texts[0].startswith("unknown key") else f", given {given[place]!r}"
        lines.append(f"{place}: " + " or ".join(dict.fromkeys(texts)) + value)
    return lines


def suggest_key(place: str, paths: list[str]) -> str:
    """Return the end of a message: keys similar to `place`, else its neighbours."""
    leaf = place.rpartition(".")[2]
    same = [path for path in paths if path.rpartition(".")[2] == leaf]
    close = same or difflib.get_close_matches(place, paths, n=3, cutoff=0.7)
    if not close:
        leaves = {path.rpartition(".")[2]: path for path in paths}
        close = [leaves[word] for word in difflib.get_close_matches(leaf, leaves, n=3)]
    if close:
        return "; did you mean " + " or ".join(repr(word) for word in close) + "?"
    section = place.rpartition(".")[0]
    near = [path for path in paths if path.rpartition(".")[0] == section]
    return did_you_mean(place, near or paths)


def dotted_paths(root: type[BaseModel], prefix: str = "") -> list[str]:
    """Return the dotted names of all fields of `root`, sections included."""
    paths = []
    for name, field in root.model_fields.items():
        paths.append(prefix + name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            paths += dotted_paths(field.annotation, f"{prefix}{name}.")
    return paths


def _place(loc: tuple[int | str, ...], paths: list[str]) -> str:
    """Return the dotted key of an error, without the names of union members behind it."""
    words = [str(part) for part in loc]
    for end in range(len(words), 0, -1):
        if ".".join(words[:end]) in paths:
            rest = [word for word in words[end:] if word.isdigit()]
            unknown = end < len(words) and ".".join(words[:end]) + "." in {
                path[: len(".".join(words[:end])) + 1] for path in paths
            }
            return ".".join(words[:end] + (words[end:] if unknown else rest))
    return ".".join(words)
