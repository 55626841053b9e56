"""Class lists that come with the data, used only if they match the masks.

They are read at the root of the data and in the folders of its splits:

| file | names by colour | names by value |
| --- | --- | --- |
| json | `classes` of a title and a colour (Supervisely) | `{"0": "road", …}` (Hugging Face) |
| CSV | columns name, r, g, b | columns Pixel Value, Class (Roboflow), or id, name |
| text | `128 64 128 Road` (CamVid), `Road:128,64,128::` (CVAT) | `0 road`, `0: road` |
| `classes.txt`, `labels.txt` … | | one name a line, from 0 |
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maskzoo.models.errors import DataError
from maskzoo.training.data.files.text import read_json, read_text
from maskzoo.training.data.records.rawmask import CodeKind
from maskzoo.training.data.records.samples import SPLIT_FOLDERS

_MAX_BYTES = 1 << 20  # larger files are not class lists
_NUMBERS_THEN_NAME = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)")
_ROW_OF_TABLE = re.compile(r"\d+[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+([^\W\d].*)")
_NAME_THEN_NUMBERS = re.compile(r"([^:]+):(\d{1,3}),(\d{1,3}),(\d{1,3})(?::.*)?")
_VALUE_THEN_NAME = re.compile(r"(\d{1,5})[\s,:=]+([^\W\d].*)")
# `id, class` is not among them: lists of images have the same columns.
_VALUE_COLUMNS = (
    ("pixel value", "class"),
    ("value", "name"),
    ("value", "class"),
    ("id", "name"),
    ("index", "name"),
    ("class_id", "class_name"),
)
_DELIMITERS = (",", ";", "\t")
_OF_NAMES = frozenset({"classes", "class_names", "classnames", "labels", "label_names", "names"})
_HEX = re.compile(r"#?([0-9A-Fa-f]{6})")


@dataclass(frozen=True)
class ClassList:
    """Names of classes from a file.

    Args:
        file: the file.
        names: name by packed colour or by value.
        kind: whether the keys are colours or values.
        by_line: the names stand one a line, and their places are the values.
        copies: files in other folders with the same names.
    """

    file: Path
    names: Mapping[int, str]
    kind: CodeKind = "colours"
    by_line: bool = False
    copies: tuple[Path, ...] = ()


def read_class_lists(root: Path) -> list[ClassList]:
    """Return the class lists in a folder and in the folders of its splits, each list once.

    Files that hold something else are passed over.
    """
    lists: list[ClassList] = []
    folders = [root, *(path for path in sorted(root.iterdir()) if path.name in SPLIT_FOLDERS)]
    for folder in (path for path in folders if path.is_dir()):
        for file in sorted(path for path in folder.iterdir() if path.suffix.lower() in _READERS):
            if not file.is_file() or file.stat().st_size > _MAX_BYTES:
                continue
            for kind, reader in _READERS[file.suffix.lower()].items():
                names = reader(file)
                same = [n for n, e in enumerate(lists) if (e.kind, e.names) == (kind, names)]
                for place in same:
                    lists[place] = replace(lists[place], copies=(*lists[place].copies, file))
                if len(names) >= 2 and not same:
                    by_line = reader is _values_from_text and not _are_numbered(file)
                    lists.append(ClassList(file, names, kind, by_line))
    return lists


def _json(file: Path) -> Any:
    """Return the content of a json file, None where it is damaged."""
    try:
        return read_json(file)
    except DataError:
        return None


def _values_from_json(file: Path) -> dict[int, str]:
    content = _json(file)
    if not isinstance(content, dict) or not all(str(key).isdecimal() for key in content):
        return {}
    return {int(key): name for key, name in content.items() if isinstance(name, str)}


def _colours_from_json(file: Path) -> dict[int, str]:
    content = _json(file)
    rows = content.get("classes", content.get("labels")) if isinstance(content, dict) else content
    found: dict[int, str] = {}
    for row in rows if isinstance(rows, list) else []:
        if isinstance(row, dict):
            name = row.get("title") or row.get("name") or row.get("label")
            code = _packed(row.get("color") or row.get("colour"))
            if isinstance(name, str) and code is not None:
                found[code] = name
    return found


def _rows(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file, with the names of its columns in lower case."""
    try:
        lines = read_text(file, western=True).splitlines()
        delimiter = max(_DELIMITERS, key=lines[0].count) if lines else ","
        rows = list(csv.DictReader(lines, delimiter=delimiter))
    except (DataError, csv.Error):
        return []
    return [
        {str(key).strip().lower(): str(value).strip() for key, value in row.items()} for row in rows
    ]


def _colours_from_csv(file: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for cells in _rows(file):
        code = _packed([cells.get(key) for key in ("r", "g", "b")])
        if cells.get("name") and code is not None:
            found[code] = cells["name"]
    return found


def _values_from_csv(file: Path) -> dict[int, str]:
    found: dict[int, str] = {}
    for cells in _rows(file):
        for value, name in _VALUE_COLUMNS:
            if cells.get(value, "").isdecimal() and cells.get(name) and "r" not in cells:
                found[int(cells[value])] = cells[name]
    return found


def _lines(file: Path) -> list[str]:
    """Return the lines of a text file without empty ones and comments."""
    try:
        text = read_text(file, western=True)
    except DataError:
        return []
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _colours_from_text(file: Path) -> dict[int, str]:
    """Return names by colour; none where fewer than half of the lines are classes."""
    lines = _lines(file)
    rows: list[tuple[int, str]] = []
    for line in lines:
        if first := _ROW_OF_TABLE.fullmatch(line) or _NUMBERS_THEN_NAME.fullmatch(line):
            *parts, name = first.groups()
        elif second := _NAME_THEN_NUMBERS.fullmatch(line):
            name, *parts = second.groups()
        else:
            continue
        code = _packed(parts)
        rows += [] if code is None else [(code, name.strip())]
    return dict(rows) if 2 * len(rows) >= len(lines) else {}


def _values_from_text(file: Path) -> dict[int, str]:
    """Return names by value; none where a line is something else.

    Files whose name says that they list classes may hold one name a line.
    """
    lines = _lines(file)
    rows = [_VALUE_THEN_NAME.fullmatch(line) for line in lines]
    if all(rows):
        return {int(row[1]): row[2].strip() for row in rows if row}
    is_of_names = file.stem.lower() in _OF_NAMES and not _colours_from_text(file)
    return dict(enumerate(lines)) if is_of_names and not any(rows) else {}


def _are_numbered(file: Path) -> bool:
    """Tell whether each line of a class list begins with the value of its class."""
    return all(map(_VALUE_THEN_NAME.fullmatch, _lines(file)))


def _packed(colour: object) -> int | None:
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


_READERS: dict[str, dict[CodeKind, Callable[[Path], dict[int, str]]]] = {
    ".json": {"colours": _colours_from_json, "values": _values_from_json},
    ".csv": {"colours": _colours_from_csv, "values": _values_from_csv},
    ".txt": {"colours": _colours_from_text, "values": _values_from_text},
}
