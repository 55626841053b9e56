"""Guards over the repository's files: sizes, docstrings, versions, what must not be named."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAX_BYTES = 1_500_000
MAX_LINES = 400
# The only large files are the weights of shipped bundles, for torch and OpenVINO; their folder
# has a limit of its own.
WEIGHTS = {".safetensors", ".bin"}
MAX_SHIPPED_BYTES = 18_000_000
MAX_WEIGHTS_BYTES = 30_000_000
REGISTRY_HOSTS = ["py" + "pi.org", "python" + "hosted.org", "deb." + "debian.org", "npm" + "js.org"]


def tracked_files() -> list[Path]:
    """Return the files that git holds or would add; skips where there is no git."""
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs git and a checkout: {error}")
    files = [ROOT / name for name in done.stdout.split("\0") if name]
    return [file for file in files if file.is_file()]


def is_weights(file: Path) -> bool:
    """Tell the weights of shipped bundles and encoders from other files."""
    folders = {ROOT / "models" / "pretrained", ROOT / "models" / "weights" / "builtin"}
    return file.suffix in WEIGHTS and not folders.isdisjoint(file.parents)


def python_files() -> list[Path]:
    """Return the product's modules."""
    folders = [ROOT / name for name in ("maskzoo", "models", "training", "service")]
    return [file for folder in folders for file in folder.rglob("*.py")]  # links are not followed


def test_no_file_is_too_large() -> None:
    large = [
        f"{file.relative_to(ROOT)}: {file.stat().st_size} bytes"
        for file in tracked_files()
        if file.stat().st_size > MAX_BYTES and not is_weights(file)
    ]
    assert large == []


def test_the_shipped_bundles_stay_small_together() -> None:
    files = (ROOT / "models" / "pretrained").rglob("*")
    assert sum(file.stat().st_size for file in files if file.is_file()) <= MAX_SHIPPED_BYTES


def test_all_weights_of_the_repository_stay_small_together() -> None:
    sizes = [file.stat().st_size for file in tracked_files() if is_weights(file)]
    assert sum(sizes) <= MAX_WEIGHTS_BYTES


def test_no_file_names_a_registry_host() -> None:
    found = []
    for file in tracked_files():
        if file.stat().st_size > MAX_BYTES or is_weights(file):
            continue
        text = file.read_bytes().decode("utf-8", errors="ignore")
        found += [
            f"{file.relative_to(ROOT)} names {host}" for host in REGISTRY_HOSTS if host in text
        ]
    assert found == []


def test_every_module_has_a_docstring_and_no_module_is_long() -> None:
    found = []
    for file in python_files():
        text = file.read_text(encoding="utf-8")
        if text.strip() and not ast.get_docstring(ast.parse(text)):
            found.append(f"{file.relative_to(ROOT)}: no docstring")
        if text.count("\n") > MAX_LINES:
            found.append(f"{file.relative_to(ROOT)}: more than {MAX_LINES} lines")
    assert found == []


def test_the_tests_are_no_packages() -> None:
    # With an __init__.py, tests/models would be imported as `models`.
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_the_newest_version_of_the_changelog_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (\S+)", log, flags=re.MULTILINE)
    assert headings[:2] == ["[Unreleased]", project["version"]]
    sections = re.findall(r"^### (\S+)", log, flags=re.MULTILINE)
    assert set(sections) <= {"Added", "Changed", "Fixed"}


def test_every_constraint_is_a_bare_pin() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line)]
    assert wrong == []
    assert len(lines) == len({line.split("==")[0].lower() for line in lines})


def test_every_dependency_of_the_project_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = {
        _normal(re.match(r"[A-Za-z0-9._-]+", text).group())  # type: ignore[union-attr]
        for text in [*project["dependencies"], *(item for extra in extras for item in extra)]
    }
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert wanted - {_normal(line.split("==")[0]) for line in lines} == {_normal(project["name"])}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
