"""The service under load beside a plain FastAPI handler and, where it is installed, LitServe."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from on_gpu.bundle import made_bundle
from on_gpu.setup import ROOT, Row, Setup, reason, shown
from page import table
from servers.load import make_images
from servers.processes import Running, adopt_orphans, answers, is_ready, running

_SERVERS = ROOT / "benchmarks" / "servers"
_PHOTO = ROOT / "service" / "web" / "samples" / "nuclei.jpg"
_LOADS = (("medium", 1), ("medium", 64), ("large", 64))
_QUICK_LOADS = (("small", 1), ("small", 3))
_PER_PROCESS = 16  # clients of one process: it takes time of the interpreter too


@dataclass(frozen=True)
class Contender:
    """A server that is measured."""

    name: str
    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    is_ours: bool = False


def measure(setup: Setup) -> Iterator[Row]:
    """Yield a row for each server, size and number of clients."""
    adopt_orphans()
    os.environ.pop("OMP_NUM_THREADS", None)
    bundle = made_bundle(setup)
    with tempfile.TemporaryDirectory() as state:
        for one in _contenders(setup, bundle, Path(state)):
            if setup.is_late:
                return
            try:
                yield from _loads(setup, one)
            except Exception as error:
                yield {"server": one.name, "error": reason(error)}
        if importlib.util.find_spec("litserve") is None:
            yield {"server": "LitServe", "error": "is not installed"}


def _contenders(setup: Setup, bundle: Path, state: Path) -> list[Contender]:
    device = setup.device.type
    ours = {
        "MASKZOO_SHIPPED_BUNDLES": "false",
        "MASKZOO_BUNDLES": str(bundle.parent),
        "MASKZOO_STATE_FOLDER": str(state),
        "MASKZOO_DEVICE": device,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }
    peer = ours | {
        "BENCH_BUNDLE": str(bundle),
        "BENCH_DEVICE": device,
        "BENCH_THREADS": "4",
        "BENCH_WORKERS": "1",
        "BENCH_BATCH": "16",
    }
    half = {"BENCH_HALF": "1"}
    python = sys.executable
    serve = [python, "-m", "maskzoo", "serve", "--port", "{port}"]
    fastapi = [python, "fastapi_server.py"]
    return [
        Contender("maskzoo", serve, ours, is_ours=True),
        Contender("plain FastAPI, float32", fastapi, peer),
        *(
            [Contender("LitServe, autocast", [python, "litserve_server.py"], peer | half)]
            if importlib.util.find_spec("litserve") is not None
            else []
        ),
        Contender("plain FastAPI, autocast", fastapi, peer | half),
    ]


def _loads(setup: Setup, one: Contender) -> Iterator[Row]:
    images = make_images(_PHOTO)
    ready = is_ready if one.is_ours else answers(images["small"][0])
    log = setup.out / f"{one.name.split(',')[0].replace(' ', '-')}.log"
    with running(one.command, one.environment, _SERVERS, ready, log) as server:
        engine = _engine(server) if one.is_ours else ""
        for size, clients in _QUICK_LOADS if setup.quick else _LOADS:
            if setup.is_late:
                return
            seconds = 0.3 if setup.quick else 3.0
            _load(server.port, size, clients, seconds / 2)
            row: Row = {"server": one.name, "size": size, "clients": clients, "engine": engine}
            yield (
                row | {"ready_s": server.cold_start_s} | _load(server.port, size, clients, seconds)
            )


def _engine(server: Running) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/models", timeout=30) as answer:
        engine = json.load(answer)["models"][0]["engine"]
    return f"{engine['name']}: {engine['reason']}".replace("|", "/")


def _load(port: int, size: str, clients: int, seconds: float) -> Row:
    """Let so many clients ask, from as many processes as they need; return what they saw."""
    counts = [min(_PER_PROCESS, clients - first) for first in range(0, clients, _PER_PROCESS)]
    command = [sys.executable, str(_SERVERS / "load.py"), str(port), str(_PHOTO), size]
    processes = [
        subprocess.Popen(
            [*command, str(count), str(seconds)], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for count in counts
    ]
    busy = _gpu_busy(seconds / 2)
    rounds = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    waits = [wait for one in rounds for wait in one["latencies"]]
    return {
        "images_per_s": sum(len(one["latencies"]) / one["seconds"] for one in rounds),
        "p50_ms": 1e3 * float(np.percentile(waits, 50)) if waits else None,
        "p99_ms": 1e3 * float(np.percentile(waits, 99)) if waits else None,
        "failures": sum(one["failures"] for one in rounds),
        "busy": busy,
    }


def _gpu_busy(after: float) -> str:
    """Return how busy the GPU is after so many seconds, and its used memory, by nvidia-smi."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader"]
    command = ["sh", "-c", f"sleep {after}; {' '.join(query)}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().replace("\n", "; ")


def text(rows: list[Row]) -> str:
    """Return the table."""
    lines = []
    for row in rows:
        lines.append(
            (
                row["server"],
                row.get("size", ""),
                row.get("clients", ""),
                shown(row.get("images_per_s"), 0),
                shown(row.get("p50_ms"), 1),
                shown(row.get("p99_ms"), 1),
                shown(row.get("failures")),
                shown(row.get("busy")),
                row.get("error") or row.get("engine") or "",
            )
        )
    return (
        "DeepLabV3+ on a ResNet-50, 19 classes, random weights; JPEG in, indexed PNG out, clients "
        "in a closed loop on the same machine, all settings at their defaults. medium is 512 x "
        "512, large 1080 x 1920.\n\n"
        + table(
            (
                "server",
                "size",
                "clients",
                "images/s",
                "p50, ms",
                "p99, ms",
                "refused",
                "GPU busy, memory",
                "engine, note",
            ),
            lines,
        )
    )
