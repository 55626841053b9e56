"""Every file, module, link and anchor that README, CONTRIBUTING and docs/ name exists."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FOLDERS = "maskzoo|models|training|service|tests|docs|benchmarks|tools"
# Paths that start with one of these are examples of what a user has.
EXAMPLES = ("models/architectures/NAME", "models/plugins/NAME", "tests/models/plugins/test_NAME")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def paths_in(text: str) -> list[str]:
    """Return the paths of files that a page names, from the root of the repository."""
    found = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w\.\w+", text)
    return [path for path in found if not path.startswith(EXAMPLES)]


def modules_in(text: str) -> list[str]:
    """Return the dotted names that a page puts into backticks, with the prefix `maskzoo.`."""
    found = re.findall(r"`(?:maskzoo\.)?((?:models|training|service)(?:\.\w+)+)`", text)
    return [f"maskzoo.{name}" for name in found]


def imports_in(text: str) -> list[str]:
    """Return the names that a page's Python examples import from maskzoo."""
    found = []
    for block in re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("maskzoo"):
                found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def anchors_of(text: str) -> set[str]:
    """Return the anchors of a page's headings, as web views of repositories make them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}


def links_in(text: str) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)\s]+)\)", text)


def resolves(name: str) -> bool:
    """Tell whether a dotted name is a module, or an attribute of one."""
    module, _, attribute = name.rpartition(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        try:
            return hasattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError:
            return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    missing = [path for path in paths_in(text_of(page)) if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    names = modules_in(text_of(page)) + imports_in(text_of(page))
    assert [name for name in names if not resolves(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    broken = []
    for link in links_in(text_of(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(text_of(target))):
            broken.append(link)
    assert broken == []


def test_the_file_map_of_the_readme_names_files_and_folders_that_exist() -> None:
    block = re.search(r"## Files\n\n```\n(.*?)```", text_of(ROOT / "README.md"), re.DOTALL)
    assert block is not None
    missing, folder = [], ROOT
    for line in block[1].splitlines():
        names = re.findall(r"(?<![\w./-])[a-z_]+(?:/|\.py)(?=[ ,])", line)
        if not line.startswith(" "):
            folder = ROOT
        missing += [name for name in names if not (folder / name).exists()]
        if not line.startswith(" "):
            folder = ROOT / names[0]
    assert missing == []


def test_planted_mistakes_are_found() -> None:
    page = "`service/nowhere.py`, `models.nowhere.x`, [a](b.md#c), `~/service/own.py`"
    assert paths_in(page) == ["service/nowhere.py"]
    assert [resolves(name) for name in modules_in(page)] == [False]
    assert imports_in("```python\nfrom maskzoo import Nothing\n```") == ["maskzoo.Nothing"]
    assert links_in(page) == ["b.md#c"]
    assert anchors_of("# A plug-in, and `more`\n") == {"a-plug-in-and-more"}
