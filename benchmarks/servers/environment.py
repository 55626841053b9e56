"""The peers' own environment, and the bundles that all serve: made once, in build/benchmarks.

Torch and what the networks need are taken from this project's environment by a `.pth` file, which
comes after the peers' own packages: torch need not be installed twice.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "benchmarks"
REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MASKZOO = [sys.executable, "-m", "maskzoo"]


def peers_python() -> Path:
    """Return the peers' Python; makes its environment where it is missing or out of date.

    Raises:
        RuntimeError: pip fails; its last words are in the message.
    """
    folder = WORK / "venv"
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = REQUIREMENTS.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"installing the peers into {folder.relative_to(ROOT)}: some minutes", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--requirement", REQUIREMENTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"pip: {done.stderr[-800:]}")
    packages = next(folder.glob("lib/python*/site-packages"))
    ours = sysconfig.get_paths()["purelib"]
    (packages / "project.pth").write_text(f"{ROOT}\n{ours}\n")
    stamp.write_text(wanted)
    return python


def versions() -> dict[str, str]:
    """Return what is pinned for the peers."""
    lines = REQUIREMENTS.read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def exported(source: Path, *options: str) -> Path:
    """Return a copy of the bundle with only the engine of these options of `maskzoo export`.

    Raises:
        RuntimeError: the export fails.
    """
    kind = "-".join(word.strip("-") for word in options if "/" not in word) or "torch"
    folder = WORK / "bundles" / kind / source.name
    weights = "model.safetensors"
    made_before = any(folder.glob("engines/*/engine.json")) or (folder.is_dir() and not options)
    if made_before and (folder / weights).read_bytes() == (source / weights).read_bytes():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("engines"))
    if options:
        command = [*MASKZOO, "export", str(folder), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode:
            shutil.rmtree(folder)
            raise RuntimeError(f"maskzoo export: {(done.stderr or done.stdout)[-800:]}")
    return folder


def made(name: str) -> Path:
    """Return a bundle of DeepLabV3+ on a ResNet-50, with random weights, of nuclei's classes."""
    import torch

    from maskzoo.models.bundles.bundle import save_bundle
    from maskzoo.models.bundles.manifest import read_manifest
    from maskzoo.models.bundles.shipped import find_bundle
    from maskzoo.models.preprocessing import Preprocessing
    from maskzoo.models.registry import create_model

    folder = WORK / "bundles" / "made" / name
    if not folder.is_dir():
        torch.manual_seed(0)
        labels = read_manifest(find_bundle("nuclei")).labels
        network = create_model(
            "deeplabv3plus", encoder="resnet50", num_classes=labels.num_classes
        ).eval()
        preprocessing = Preprocessing(mean=network.encoder.mean, std=network.encoder.std)
        save_bundle(folder, network, name=name, labels=labels, preprocessing=preprocessing)
    return folder


def int8_score(engine: Path) -> str:
    """Return what an exported engine's record says of its loss; nothing where it rounds nothing."""
    score = json.loads((engine / "engine.json").read_text())["score"]
    if score is None:
        return ""
    after, before = 100 * score["mean_iou"], 100 * score["mean_iou_torch"]
    return f"mean IoU on {score['split']} {after:.2f}, torch {before:.2f}"
