"""`maskzoo` is the one import name, whatever the user's own project calls its modules."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project whose modules are called as the packages of this repository are."""
    for name in ("models", "training"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"OWNER = 'user {name}'\n")
    (tmp_path / "service.py").write_text("OWNER = 'user service'\n")
    return tmp_path


def run(code: str, folder: Path, *, timeout: float = 300) -> str:
    """Run `code` as a script of the project in `folder`; return what it prints."""
    (folder / "app.py").write_text(code)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=folder,
        env=environment | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_project_with_a_folder_models_imports_and_predicts(project: Path) -> None:
    code = f"""
import models, service, training
from maskzoo import Predictor, create_model
from pathlib import Path
root = Path({str(ROOT)!r})
predictor = Predictor.from_bundle(root / "models" / "pretrained" / "nuclei", engine="torch")
found = predictor.segment(root / "service" / "web" / "samples" / "nuclei.jpg")
print(models.OWNER, service.OWNER, training.OWNER, found.mode)
"""
    assert run(code, project).startswith("user models user service user training ")


def test_the_command_runs_from_a_script_beside_such_folders(project: Path) -> None:
    code = """
import service
from maskzoo.cli import main
try:
    main(["key"])
except SystemExit as end:
    print(service.OWNER, end.code or 0)
"""
    assert run(code, project).strip().endswith("user service 0")


def test_python_m_maskzoo_works_in_any_folder(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "maskzoo", "plugins", "list", "se"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("se")


def test_the_service_answers_in_such_a_folder(project: Path) -> None:
    command = [sys.executable, "-m", "maskzoo", "serve", "--port", "0"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "MASKZOO_PRELOAD": "false",
        "MASKZOO_STATE_FOLDER": str(project / "state"),
    }
    with (
        (project / "log").open("w+") as log,
        subprocess.Popen(
            command, cwd=project, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as server,
    ):
        assert server.stdout is not None
        try:
            address = next(line.split()[-1] for line in server.stdout if "listening on" in line)
            with urllib.request.urlopen(f"{address}/models", timeout=120) as answer:
                assert b"nuclei" in answer.read()
        finally:
            server.send_signal(signal.SIGTERM)


def test_no_module_is_loaded_under_two_names() -> None:
    code = (
        "import sys, maskzoo.cli, maskzoo.service.app, maskzoo.training.run.fit\n"
        "from pathlib import Path\n"
        f"root = Path({str(ROOT)!r})\n"
        "names = {}\n"
        "for name, module in list(sys.modules.items()):\n"
        "    file = getattr(module, '__file__', None)\n"
        "    if not file or not file.startswith('/') or 'site-packages' in file:\n"
        "        continue\n"
        "    if root in Path(file).resolve().parents and '.venv' not in file:\n"
        "        names.setdefault(Path(file).resolve(), []).append(name)\n"
        "print(sorted(names for names in names.values() if len(names) > 1))\n"
        "print(sorted({name.split('.')[0] for some in names.values() for name in some}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[]", "['maskzoo']"]


def test_the_public_names_are_those_that_are_promised() -> None:
    import maskzoo

    assert {*maskzoo.__all__} >= {
        "AsyncClient",
        "Client",
        "LabelSet",
        "ModelSpec",
        "Predictor",
        "Preprocessing",
        "create_model",
        "list_models",
        "load_bundle",
        "save_bundle",
    }
    for name in maskzoo.__all__:
        assert getattr(maskzoo, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'predictor'"):
        _ = maskzoo.predictor


@pytest.mark.slow
def test_a_wheel_installs_one_top_level_package_with_all_that_it_needs(tmp_path: Path) -> None:
    source = tmp_path / "source"  # setuptools builds in the folder that it is given
    source.mkdir()
    for name in ("maskzoo", "models", "training", "service"):
        shutil.copytree(ROOT / name, source / name, symlinks=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), str(source)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"maskzoo"}
    assert {
        "maskzoo/models/pretrained/nuclei/model.safetensors",
        "maskzoo/models/weights/builtin/mobilenetv2_100.safetensors",
        "maskzoo/service/web/index.html",
        "maskzoo/training/config/presets/fast.yaml",
        "maskzoo/training/report/page.html",
    } <= {*names}
