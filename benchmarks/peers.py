"""maskzoo's service beside other servers: the same weights, images, answers and load.

    python benchmarks/peers.py                          # the shipped nuclei bundle, all sizes
    python benchmarks/peers.py --network deeplabv3plus  # ResNet-50, random weights, medium only

Each server runs alone, in processes of its own, and answers a form with a JPEG by an indexed PNG.
The peers (plain FastAPI, LitServe, BentoML, Ray Serve) share one handler (`servers/handler.py`):
Pillow, torch in fp32, Pillow. Of each the best of a few settings is taken, by images/s at the
medium size; then the servers take turns: A B C … A B C …, started anew each time. Before its
first round every server's masks are compared with torch's. The table in docs/peers.md is written
anew, with a plot. Linux only.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from maskzoo.models.bundles.shipped import find_bundle
from maskzoo.models.inference.options import PredictOptions
from maskzoo.models.inference.predictor import Predictor
from servers.environment import MASKZOO, ROOT, WORK, exported, int8_score, made, peers_python
from servers.load import SIZES, Round, make_images, mask_of, run_load
from servers.processes import Running, adopt_orphans, answers, running
from servers.report import write_report

SERVERS = Path(__file__).parent / "servers"
PHOTO = ROOT / "service" / "web" / "samples" / "nuclei.jpg"
LEAST_AGREEMENT = 0.999
_CLIENTS = 4

Setting = dict[str, int]
_SETTINGS: dict[str, list[Setting]] = {
    "FastAPI": [
        {"threads": 2, "workers": 1, "batch": 1},
        {"threads": 1, "workers": 1, "batch": 1},
        {"threads": 1, "workers": 2, "batch": 1},
    ],
    "peer": [
        {"threads": 2, "workers": 1, "batch": 4},
        {"threads": 2, "workers": 1, "batch": 1},
        {"threads": 1, "workers": 2, "batch": 1},
    ],
}


@dataclass
class Contender:
    """One server and what was seen of it.

    Args:
        name: in the table.
        command: that starts it.
        environment: of the command.
        settings: that are tried, for the first to be the best.
        least: fraction of pixels that must have torch's class.
        missing: why it cannot run; None where it can.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    settings: list[Setting] = field(default_factory=lambda: [{}])
    least: float = LEAST_AGREEMENT
    missing: str | None = None
    setting: Setting = field(default_factory=dict)
    agreement: float | None = None
    note: str = ""
    rounds: dict[str, list[Round]] = field(default_factory=dict)
    cold_start_s: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    def run(self, setting: Setting, first: bytes) -> AbstractContextManager[Running]:
        """Start it with a setting."""
        given = {f"BENCH_{key.upper()}": str(value) for key, value in setting.items()}
        log = WORK / f"{self.name.split()[0].lower()}.log"
        return running(self.command, self.environment | given, SERVERS, answers(first), log)


def peers(bundle: Path, temporary: Path) -> list[Contender]:
    """Return the others' servers; those that cannot be installed say why."""
    plain = exported(bundle)
    environment = {
        "BENCH_BUNDLE": str(plain),
        "RAY_TMPDIR": str(temporary),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_raylet_start_wait_time_s": "120",
        "BENTOML_HOME": str(WORK / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
    }
    missing = None
    try:
        python = str(peers_python())
    except RuntimeError as error:
        python, missing = "", str(error)
    bento = [python, "-m", "bentoml", "serve", "bentoml_server:Segment", "--port", "{port}"]
    commands = {
        "FastAPI": [python, "fastapi_server.py"],
        "LitServe": [python, "litserve_server.py"],
        "BentoML": bento,
        "Ray Serve": [python, "ray_server.py"],
    }
    return [
        Contender(
            name,
            command,
            environment,
            _SETTINGS.get(name, _SETTINGS["peer"]),
            missing=missing,
        )
        for name, command in commands.items()
    ]


def ours(bundle: Path, data: Path, *, trained: bool) -> list[Contender]:
    """Return our rows; one that cannot be exported says why.

    `auto` chooses bfloat16 for the shipped bundle. With random weights, classes are closer than its
    rounding, so there it is requested by name, and int8 may lose any score; the times equal those
    of trained weights.
    """
    rows = []
    export = ("--engine", "openvino", "--check", str(PHOTO))
    int8 = ("--engine", "openvino", "--precision", "int8", "--calibrate", str(data))
    for name, engine, least, options in (
        ("maskzoo", "auto", LEAST_AGREEMENT, export),
        *([] if trained else [("maskzoo bf16", "openvino-bf16", 0.0, export)]),
        ("maskzoo int8", "openvino-int8", 0.0, int8 if trained else (*int8, "--max-drop", "100")),
    ):
        environment = {"MASKZOO_SHIPPED_BUNDLES": "false", "MASKZOO_ENGINE": engine}
        environment["MASKZOO_STATE_FOLDER"] = str(WORK / "state")
        missing, note = None, ""
        try:
            if engine.endswith("int8"):
                _check_data(data)
            folder = exported(bundle, *options)
            environment["MASKZOO_BUNDLES"] = str(folder)
            note = int8_score(next(folder.glob("engines/*"))) if trained else ""
        except RuntimeError as error:
            missing = str(error)
        command = [*MASKZOO, "serve", "--port", "{port}"]
        rows.append(Contender(name, command, environment, least=least, missing=missing, note=note))
    return rows


def _check_data(data: Path) -> None:
    if not data.is_dir():
        raise RuntimeError(f"no data to calibrate int8 with: {data.name} is not there (--data)")


def choose(one: Contender, images: list[bytes], seconds: float) -> None:
    """Try the settings and keep the one with the most images/s."""
    best = -1.0
    for setting in one.settings:
        if len(one.settings) == 1:
            one.setting = setting
            return
        try:
            with one.run(setting, images[0]) as server:
                run_load(server.port, images, clients=_CLIENTS, seconds=seconds / 2)
                rate = run_load(server.port, images, clients=_CLIENTS, seconds=seconds).images_per_s
        except (RuntimeError, OSError) as error:
            print(f"{one.name} {setting}: {error}", flush=True)
            one.missing = one.missing if best >= 0 else str(error)
            continue
        print(f"{one.name} {setting}: {rate:.2f} images/s", flush=True)
        if rate > best:
            best, one.setting, one.missing = rate, setting, None


def compare(one: Contender, server: Running, truth: dict[bytes, np.ndarray]) -> None:
    """Compare the server's masks with torch's.

    Raises:
        RuntimeError: too many pixels differ.
    """
    same, pixels = 0, 0
    for data in truth:
        mask = mask_of(server.port, data)
        same += int((mask == truth[data]).sum())
        pixels += mask.size
    one.agreement = same / pixels
    if one.agreement < one.least:
        raise RuntimeError(f"only {one.agreement:.3%} of the pixels have torch's class")


def take_turn(
    one: Contender,
    images: dict[str, list[bytes]],
    truth: dict[bytes, np.ndarray],
    seconds: dict[str, float],
) -> None:
    """Start a server, load it with each size, end it."""
    first = next(iter(images.values()))[0]
    with one.run(one.setting, first) as server:
        one.cold_start_s.append(server.cold_start_s)
        if one.agreement is None:
            compare(one, server, truth)
        for size, files in images.items():
            run_load(server.port, files, clients=_CLIENTS, seconds=min(1.0, seconds[size]))
            found = run_load(server.port, files, clients=_CLIENTS, seconds=seconds[size])
            if found.failures:
                raise RuntimeError(f"{found.failures} requests failed at size {size}")
            one.rounds.setdefault(size, []).append(found)
            print(f"{one.name:<14} {size:<7} {found.images_per_s:7.2f} images/s", flush=True)
        one.peak_bytes = max(one.peak_bytes, server.peak_bytes)


def main() -> None:
    """Choose settings, take turns, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=("nuclei", "deeplabv3plus"), default="nuclei")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one load, at medium size")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "nuclei")
    parser.add_argument("--only", choices=("peers", "maskzoo"))
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    options = parser.parse_args()
    adopt_orphans()
    os.environ.pop("OMP_NUM_THREADS", None)  # each server has its own way to say it
    shipped = options.network == "nuclei"
    bundle = find_bundle("nuclei") if shipped else made(options.network)
    images = make_images(PHOTO)
    images = images if shipped else {"medium": images["medium"]}
    weights = {"small": 1.0, "medium": 1.0, "large": 2.0, "mixed": 1.5}
    seconds = {size: options.seconds * weights[size] * (1 if shipped else 2) for size in images}
    predictor = Predictor.from_bundle(exported(bundle), engine="torch", device="cpu")
    files = {data for group in images.values() for data in group[:2]}
    truth = {
        data: predictor.segment(data, PredictOptions(confidence=False)).label_map for data in files
    }
    with tempfile.TemporaryDirectory(prefix="ray") as temporary:
        found = peers(bundle, Path(temporary)) if options.only != "maskzoo" else []
        found += ours(bundle, options.data, trained=shipped) if options.only != "peers" else []
        for one in found:
            if one.missing is None:
                choose(one, images["medium"], options.seconds)
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", flush=True)
            for one in found:
                try:
                    if one.missing is None:
                        take_turn(one, images, truth, seconds)
                except (RuntimeError, OSError) as error:
                    one.missing = str(error)
                    print(f"{one.name}: {error}", flush=True)
    write_report(options, found, {size: SIZES.get(size) for size in images}, _CLIENTS)


if __name__ == "__main__":
    main()
