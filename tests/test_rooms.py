"""The rooms of each package import in one direction, the one that its `__init__` draws."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ["models", "service", "training"]
DRAWN = [*PACKAGES, "training/data"]
APART = {"service": {"client", "batch"}}  # rooms that neither import nor are imported
NO_CODE = {"__pycache__", "web", "pretrained", "recipes"}


@functools.cache
def ranks(package: str) -> dict[str, int]:
    """Return the line of each room in the drawing of `package`."""
    text = ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()), clean=False)
    lines = re.findall(r"^    (\S.*?)  ", text or "", flags=re.MULTILINE)
    return {room: rank for rank, line in enumerate(lines) for room in line.split(", ")}


def imports(package: str, file: Path) -> Iterator[str]:
    """Yield the room of every import from `package`."""
    prefix = f"maskzoo.{package}.".replace("/", ".")
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        yield from [name.split(".")[0] for name in inside]


def room_of(package: str, file: Path) -> str:
    """Return the room that `file` stands in; a file at the top is a room of its own."""
    return file.relative_to(ROOT / package).parts[0].removesuffix(".py")


def all_imports() -> list[tuple[str, str, str]]:
    """Return (package, room, room it imports) for every package."""
    found = set()
    for package in DRAWN:
        for file in (ROOT / package).rglob("*.py"):
            if "samples" in file.parts or file == ROOT / package / "__init__.py":
                continue
            room = room_of(package, file)
            found |= {(package, room, other) for other in imports(package, file) if other != room}
    return sorted(found)


@pytest.mark.parametrize("package", DRAWN)
def test_every_room_and_file_at_the_top_has_its_place_in_the_drawing(package: str) -> None:
    there = {path.name for path in (ROOT / package).iterdir() if path.is_dir()}
    there |= {path.stem for path in (ROOT / package).glob("*.py")}
    drawn = ranks(package).keys() | APART.get(package, set())
    assert there - {"__init__"} - NO_CODE == drawn


@pytest.mark.parametrize(("package", "room", "other"), all_imports())
def test_a_room_imports_only_what_stands_above_it(package: str, room: str, other: str) -> None:
    assert not {room, other} & APART.get(package, set()), "these rooms know nothing of the others"
    assert ranks(package)[other] <= ranks(package)[room]


def test_neighbours_on_one_line_do_not_import_each_other_in_a_circle() -> None:
    arrows = set(all_imports())
    assert [arrow for arrow in arrows if (arrow[0], arrow[2], arrow[1]) in arrows] == []


# the whole tree

MOST_FILES = 12
CATALOGUES = {"models/architectures", "models/plugins", "maskzoo/commands"}
"""Rooms of one file for each entry of a table."""


def test_a_room_is_small_enough_to_see_at_a_glance() -> None:
    rooms = {
        file.parent.relative_to(ROOT).as_posix()
        for package in ("models", "training", "service", "maskzoo")
        for file in (ROOT / package).rglob("*.py")
    }
    sizes = {room: len([*(ROOT / room).glob("[!_]*.py")]) for room in rooms - CATALOGUES}
    assert {room: size for room, size in sizes.items() if size > MOST_FILES} == {}


MOST_MODULES = 10
"""Of the longest chain of modules that import each other: who reads one reads at most so many."""


def module_level_imports(body: list[ast.stmt]) -> Iterator[str]:
    """Yield what is imported when the module is; not what only a type checker or a call imports."""
    for node in body:
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Try):
            yield from module_level_imports(node.body)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from module_level_imports(node.body + node.orelse)


@functools.cache
def import_graph() -> dict[str, set[str]]:
    """Return module -> the modules of ours that it imports; a package is its `__init__`."""
    modules = {}
    for file in [*ROOT.glob("maskzoo/*.py"), *ROOT.glob("maskzoo/commands/*.py")]:
        modules[".".join(file.relative_to(ROOT).with_suffix("").parts)] = file
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            modules[".".join(("maskzoo", *file.relative_to(ROOT).with_suffix("").parts))] = file
    modules = {name.removesuffix(".__init__"): file for name, file in modules.items()}
    graph = {}
    for module, file in modules.items():
        names = set(module_level_imports(ast.parse(file.read_text()).body))
        graph[module] = {_owner(name, modules) for name in names} - {module, ""}
    return graph


def _owner(name: str, modules: dict[str, Path]) -> str:
    """Return the module that an imported name is, or comes from; empty for other people's."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name


@functools.cache
def longest_chain(module: str) -> tuple[str, ...]:
    """Return the longest way from a module down to one that imports none of ours."""
    below = [longest_chain(other) for other in import_graph()[module]]
    return (module, *max(below, key=len, default=()))


def test_a_module_is_understood_by_reading_ten_at_most() -> None:
    chain = max(map(longest_chain, import_graph()), key=len)
    assert len(chain) <= MOST_MODULES, "\n".join(chain)
