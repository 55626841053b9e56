"""The rooms of the service import in one direction, the one that `service/__init__.py` draws."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import service

ROOT = Path(service.__file__).parent
ABOVE_ALL = {"commands"}  # it starts the others, the client too


def ranks() -> dict[str, int]:
    """Return the line of each room in the drawing."""
    lines = re.findall(r"^    (\S.*?)  ", service.__doc__ or "", flags=re.MULTILINE)
    return {room: rank for rank, line in enumerate(lines) for room in line.split(", ")}


def imports(file: Path) -> Iterator[str]:
    """Yield the room of every import from the service."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "service":
            parts = (node.module or "").split(".")[1:]
            yield from [parts[0]] if parts else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            yield from [parts[1] for parts in names if parts[0] == "service" and len(parts) > 1]


def all_imports() -> list[tuple[str, str]]:
    """Return (room, room it imports) for the whole package."""
    found = set()
    for file in ROOT.rglob("*.py"):
        if "samples" in file.parts or file.name == "__init__.py":
            continue
        room = file.relative_to(ROOT).parts[0].removesuffix(".py")
        found |= {(room, other) for other in imports(file) if other != room}
    return sorted(found)


def test_every_room_and_file_at_the_top_has_its_place_in_the_drawing() -> None:
    there = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.is_dir()}
    there |= {path.stem for path in ROOT.glob("*.py")}
    assert there - {"__init__", "__pycache__", "web"} == ranks().keys() | {"client"}


@pytest.mark.parametrize(("room", "other"), all_imports())
def test_a_room_imports_only_what_stands_above_it(room: str, other: str) -> None:
    if room in ABOVE_ALL:
        return
    assert "client" not in (room, other), "the client and the server know nothing of each other"
    assert ranks()[other] <= ranks()[room]


def test_neighbours_on_one_line_do_not_import_each_other_in_a_circle() -> None:
    pairs = set(all_imports())
    assert [pair for pair in pairs if pair[::-1] in pairs] == []
