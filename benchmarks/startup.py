"""Start-up time of `maskzoo serve`, with one model and with all shipped ones, and its imports.

    python benchmarks/startup.py [--runs 5]

Ready is the first 200 of /readyz, which waits for every model. The disk's cache is warm: a first
start does not count. Imports are those of `maskzoo serve` by `python -X importtime`: the packages
that take most, and which of some heavy ones are in the process though nothing there uses them.
Puts its tables into docs/growth.md. Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from page import DOCS, about, put, table
from servers.processes import adopt_orphans, is_ready, running

ROOT = Path(__file__).resolve().parents[1]
NUCLEI = ROOT / "models" / "pretrained" / "nuclei"
UNUSED = (
    "lightning",
    "albumentations",
    "segmentation_models_pytorch",
    "timm",
    "torchvision",
    "matplotlib",
    "scipy",
    "sklearn",
    "pandas",
    "onnx",
    "nncf",
    "ray",
    "tifffile",
    "sympy",
)
_SHOWN = 12


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    adopt_orphans()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        only = {"MASKZOO_SHIPPED_BUNDLES": "false", "MASKZOO_BUNDLES": str(NUCLEI)}
        for name, environment in (("nuclei", only), ("all that ship", {})):
            seconds = [start(environment, Path(folder)) for _ in range(options.runs + 1)][1:]
            row = (name, *(f"{f(seconds):.2f}" for f in (statistics.median, min, max)))
            print(*row, flush=True)
            rows.append(row)
    packages, loaded = imports()
    slowest = [(name, f"{ms:.0f}") for name, ms in packages[:_SHOWN]]
    text = "\n\n".join(
        (
            about("torch", "openvino", "fastapi"),
            table(("models", "ready after, s", "least", "most"), rows),
            "Imports of the service, each package with what it alone brings:",
            table(("package", "ms"), slowest),
            f"Heavy packages that are installed and not imported: {absent(loaded)}.",
        )
    )
    print(text)
    put(options.out / "growth.md", "startup", text)


def start(environment: dict[str, str], folder: Path) -> float:
    """Return the seconds until the server is ready."""
    environment = environment | {"MASKZOO_STATE_FOLDER": str(folder / "state")}
    command = [sys.executable, "-m", "maskzoo", "serve", "--port", "{port}"]
    with running(command, environment, folder, is_ready, folder / "log") as server:
        return server.cold_start_s


def imports() -> tuple[list[tuple[str, float]], set[str]]:
    """Return milliseconds by top-level package, the most first, and all packages' names."""
    code = "import maskzoo.service.app, uvicorn, openvino"
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    own: dict[str, float] = defaultdict(float)
    for line in done.stderr.splitlines():
        microseconds, _, name = line.removeprefix("import time:").split("|")
        if microseconds.strip().isdigit():
            own[name.strip().split(".")[0]] += int(microseconds) / 1000
    return sorted(own.items(), key=lambda item: -item[1]), set(own)


def absent(loaded: set[str]) -> str:
    """Return the names of heavy packages that were not imported, and those that were."""
    there = [name for name in UNUSED if name in loaded]
    away = ", ".join(name for name in UNUSED if name not in loaded)
    return f"{away}; imported all the same: {', '.join(there) or 'none'}"


if __name__ == "__main__":
    main()
