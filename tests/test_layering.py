"""Import directions: `models` is the core; `training` and `service` stand on it and never meet."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

COMMANDS = {"maskzoo.cli", "maskzoo.commands", "maskzoo.console", "typer"}
BARE = {"models", "training", "service"}  # as import names these belong to the user's own project
FORBIDDEN = {
    "models": {
        "maskzoo.training",
        "maskzoo.service",
        "lightning",
        "albumentations",
        "fastapi",
        "ray",
        *COMMANDS,
        *BARE,
    },
    "training": {"maskzoo.service", "fastapi", "uvicorn", "ray", *COMMANDS, *BARE},
    "service": {"maskzoo.training", "lightning", "albumentations", *COMMANDS, *BARE},
}


def imported_modules(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import in `source`, those inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from maskzoo import service` names its package only in the alias
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif _is_import_call(node):
            yield node.lineno, node.args[0].value  # type: ignore[attr-defined]


def find_violations(package: str, folder: Path) -> list[str]:
    """Return `file:line imports name` for each import that `package` may not make."""
    found = []
    for file in sorted(folder.rglob("*.py")):
        for line, name in imported_modules(file.read_text(encoding="utf-8")):
            if any(f"{name}.".startswith(f"{other}.") for other in FORBIDDEN[package]):
                found.append(f"{file.relative_to(folder.parent)}:{line} imports {name}")
    return found


@pytest.mark.parametrize("package", sorted(FORBIDDEN))
def test_a_package_imports_only_what_it_may(package: str) -> None:
    assert list((ROOT / package).rglob("*.py")), f"{package} holds no code"
    assert find_violations(package, ROOT / package) == []


@pytest.mark.parametrize(
    "line",
    [
        "import lightning.fabric",
        "from albumentations import Compose",
        "def later():\n    from maskzoo.training.run.fit import train",
        "from maskzoo import service",
        "from models import Predictor",
        "import typer",
        "import numpy, fastapi",
        "import importlib\nimportlib.import_module('ray.serve')",
        "__import__('maskzoo.service')",
    ],
)
def test_a_planted_import_is_found(tmp_path: Path, line: str) -> None:
    planted = tmp_path / "models" / "deep" / "planted.py"
    planted.parent.mkdir(parents=True)
    planted.write_text(f"import math\n{line}\n")
    assert len(find_violations("models", tmp_path / "models")) == 1


def test_an_allowed_import_is_not_taken_for_a_forbidden_one(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "fine.py").write_text("import raylib\nimport maskzoo.models.service\n")
    assert find_violations("models", tmp_path / "models") == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("maskzoo", ["torch", "numpy", "lightning", "albumentations", "fastapi", "typer"]),
        ("maskzoo.service.fronts.front", ["torch", "openvino", "lightning", "timm"]),
        ("maskzoo.service.fronts.supervisor", ["torch", "cv2", "fastapi"]),
        ("maskzoo.service.app", ["lightning", "albumentations", "maskzoo.training", "timm"]),
        (
            "maskzoo.models.inference.predictor",
            ["timm", "torchvision", "openvino", "onnxruntime", "tifffile"],
        ),
        ("maskzoo.service.batch.worker", ["fastapi", "ray", "lightning", "albumentations"]),
        ("maskzoo.training.run.fit", ["fastapi", "maskzoo.service"]),
    ],
)
def test_importing_a_module_loads_no_foreign_package(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def _is_import_call(node: ast.AST) -> bool:
    """Tell `importlib.import_module("x")` and `__import__("x")` from other calls."""
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in {"import_module", "__import__"} and isinstance(node.args[0].value, str)
