"""What running a network of timm has shown, kept while the process lives.

timm does not say at which sizes a network runs and how its features are rounded, so it is run once.
That takes 0.1 to 3 s. The next network of the same name and options needs no such run: a service
builds each of its networks several times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar, cast

T = TypeVar("T")

_MOST = 1024
_SHOWN: dict[Hashable, object] = {}


def remembered(key: Hashable, find_out: Callable[[], T]) -> T:
    """Return what `find_out` returned for this key the first time; an error is not kept."""
    if key not in _SHOWN:
        found = find_out()
        if len(_SHOWN) >= _MOST:
            _SHOWN.clear()
        _SHOWN[key] = found
    return cast(T, _SHOWN[key])


def network_key(name: str, in_channels: int, output_stride: int, options: Mapping[str, Any]) -> str:
    """Return a key for networks that behave alike at all sizes, whatever their weights are."""
    written = json.dumps(dict(options), sort_keys=True, default=repr)
    return f"{name} {in_channels} {output_stride} {written}"
