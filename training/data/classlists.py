"""Class lists that came with the data: believed only where the masks bear them out.

Read are, at the root of the data: json files with `classes` of a title and a colour (Supervisely
and others), CSV files with the columns name, r, g, b (`class_dict.csv`), and text files with a
class on each line, as `128 64 128 Road` (CamVid's `label_colors.txt`) or `Road:128,64,128::`
(CVAT's `labelmap.txt`).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MAX_BYTES = 1 << 20
_NUMBERS_THEN_NAME = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)")
_NAME_THEN_NUMBERS = re.compile(r"([^:]+):(\d{1,3}),(\d{1,3}),(\d{1,3})(?::.*)?")
_HEX = re.compile(r"#?([0-9A-Fa-f]{6})")


@dataclass(frozen=True)
class ClassList:
    """Names by packed colour, as a file tells them."""

    file: Path
    names: Mapping[int, str]


def read_class_lists(root: Path) -> list[ClassList]:
    """Return the lists at the root of the data; files of another kind are passed over."""
    lists: list[ClassList] = []
    readers = {".json": _from_json, ".csv": _from_csv, ".txt": _from_text}
    for file in sorted(path for path in root.iterdir() if path.suffix.lower() in readers):
        if not file.is_file() or file.stat().st_size > _MAX_BYTES:
            continue
        names = readers[file.suffix.lower()](file)
        if len(names) >= 2:
            lists.append(ClassList(file, names))
    return lists


def _from_json(file: Path) -> dict[int, str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return {}
    rows = content.get("classes", content.get("labels")) if isinstance(content, dict) else content
    found: dict[int, str] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            name = row.get("title") or row.get("name") or row.get("label")
            code = _packed(row.get("color") or row.get("colour"))
            if isinstance(name, str) and code is not None:
                found[code] = name
    return found


def _from_csv(file: Path) -> dict[int, str]:
    try:
        rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    found: dict[int, str] = {}
    for row in rows:
        cells = {str(key).strip().lower(): str(value).strip() for key, value in row.items()}
        code = _packed([cells.get(key) for key in ("r", "g", "b")])
        if cells.get("name") and code is not None:
            found[code] = cells["name"]
    return found


def _from_text(file: Path) -> dict[int, str]:
    """Return names by colour; nothing where fewer than half of the lines are classes."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return {}
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    rows: list[tuple[int, str]] = []
    for line in lines:
        if first := _NUMBERS_THEN_NAME.fullmatch(line):
            *parts, name = first.groups()
        elif second := _NAME_THEN_NUMBERS.fullmatch(line):
            name, *parts = second.groups()
        else:
            continue
        code = _packed(parts)
        rows += [] if code is None else [(code, name.strip())]
    return dict(rows) if 2 * len(rows) >= len(lines) else {}


def _packed(colour: Any) -> int | None:
    """Return a colour as 0xRRGGBB: from `#3C1098` or from three numbers."""
    if isinstance(colour, str):
        match = _HEX.fullmatch(colour.strip())
        return int(match.group(1), 16) if match else None
    if isinstance(colour, Iterable):
        try:
            red, green, blue = (int(part) for part in colour)
        except (TypeError, ValueError):
            return None
        if max(red, green, blue) <= 255 and min(red, green, blue) >= 0:
            return red << 16 | green << 8 | blue
    return None
