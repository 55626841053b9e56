"""What a checkpoint of mmsegmentation says beside its tensors, in the layouts of 0.x and 1.x.

| layout | settings | classes and colours |
| --- | --- | --- |
| 0.x | `meta.config` | `meta.CLASSES`, `meta.PALETTE` |
| 1.x | `meta.cfg` | `meta.dataset_meta.classes`, `.palette` |
| a bare state dict | none | none |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from maskzoo.models.labels import Colour


@dataclass(frozen=True)
class Envelope:
    """What the file says of itself.

    Args:
        config: the text of the configuration; None where there is none.
        classes: their names; empty where there are none.
        palette: their colours; empty where there are none, or not one for each class.
    """

    config: str | None = None
    classes: tuple[str, ...] = ()
    palette: tuple[Colour, ...] = ()


def read_envelope(meta: Mapping[str, Any]) -> Envelope:
    """Read the plain values beside the tensors; what is not of the expected type counts as absent.

    Args:
        meta: `models.weights.checkpoint.Checkpoint.meta`.
    """
    inner = _mapping(meta.get("meta"))
    described = _mapping(inner.get("dataset_meta"))
    config = next(
        (inner[key] for key in ("config", "cfg") if isinstance(inner.get(key), str)), None
    )
    names = _listed(inner.get("CLASSES")) or _listed(described.get("classes"))
    classes = tuple(map(str, names)) if all(isinstance(name, str) for name in names) else ()
    colours = _listed(inner.get("PALETTE")) or _listed(described.get("palette"))
    palette = tuple(colour for colour in map(_colour, colours) if colour is not None)
    return Envelope(config, _distinct(classes), palette if len(palette) == len(classes) else ())


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()


def _colour(value: Any) -> Colour | None:
    items = _listed(value)
    if len(items) != 3 or not all(type(item) is int and 0 <= item <= 255 for item in items):
        return None
    red, green, blue = items
    return red, green, blue


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names with a number behind each that occurs a second time."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return tuple(distinct)
