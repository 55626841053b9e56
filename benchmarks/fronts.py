"""What front processes cost a request: one process against two fronts and an owner, in one run.

    python benchmarks/fronts.py [--requests 100] [--bundle models/pretrained/nuclei]

Both servers run at the same time and get the same images in turn, so what else the machine does
meets both alike. Printed for each size of image: the median latency with one client, the processor
time of a request in all processes, and the difference; then the stage `handover` as the server
measures it, and the memory of each kind of process. The network is the bundle's on the CPU: it
takes the same in both, and on a small machine most of the time.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIZES = ((64, 64), (512, 512), (1920, 1080))
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Server:
    """One `maskzoo serve` with its processes."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self.http = httpx.Client(base_url=url, timeout=120)
        while self.http.get("/readyz").status_code != 200:
            time.sleep(0.1)

    def seconds(self) -> float:
        """Return the processor time of all its processes so far."""
        fields = [
            Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split() for pid in self._all()
        ]
        return sum(int(row[11]) + int(row[12]) for row in fields) / _TICKS

    def memory(self) -> dict[str, list[int]]:
        """Return the MiB that each process has alone, by its kind."""
        found: dict[str, list[int]] = {}
        for pid in self._all():
            command = Path(f"/proc/{pid}/cmdline").read_text()
            kind = re.search(r'"kind":"(\w+)"', command)
            name = kind[1] if kind else "decode" if "decoding" in command else "serve"
            rows = Path(f"/proc/{pid}/smaps_rollup").read_text()
            alone = sum(int(kib) for kib in re.findall(r"Private_\w+: +(\d+)", rows))
            found.setdefault(name, []).append(alone >> 10)
        return found

    def _all(self) -> list[int]:
        found = [self._process.pid]
        for pid in found:
            for file in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, file.read_text().split())
        return found


@contextmanager
def serving(bundle: Path, processes: int | None, *arguments: str) -> Iterator[Server]:
    """Run a server; `arguments` are further ones of `maskzoo serve`."""
    with tempfile.TemporaryDirectory() as state:
        given = {
            "bundles": bundle,
            "shipped_bundles": False,
            "state_folder": state,
            "device": "cpu",
            "log_level": "warning",
            **({} if processes is None else {"processes": processes}),
        }
        env = os.environ | {f"MASKZOO_{key.upper()}": str(value) for key, value in given.items()}
        command = [sys.executable, "-m", "maskzoo", "serve", "--port", "0", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        try:
            url = next(line for line in process.stdout if line.startswith("listening on ")).split()[
                -1
            ]
            yield Server(process, url)
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def photograph(width: int, height: int) -> bytes:
    """Return a JPEG with edges and a little noise."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def measure(servers: dict[str, Server], body: bytes, requests: int) -> dict[str, tuple[float, ...]]:
    """Return the median latency and the processor time of a request, and `handover`, in ms."""
    latencies: dict[str, list[float]] = {name: [] for name in servers}
    used = dict.fromkeys(servers, 0.0)
    handover: dict[str, list[float]] = {name: [] for name in servers}
    for number in range(requests + 4):
        for name, server in servers.items():
            before, begun = server.seconds(), time.perf_counter()
            answer = server.http.post("/segment", content=body)
            took = time.perf_counter() - begun
            answer.raise_for_status()
            if number < 4:  # an engine may prepare for each size
                continue
            latencies[name].append(took)
            used[name] += server.seconds() - before
            found = re.search(r"handover;dur=([\d.]+)", answer.headers["server-timing"])
            handover[name].append(float(found[1]) if found else 0.0)
    return {
        name: (
            1000 * float(np.median(latencies[name])),
            1000 * used[name] / requests,
            float(np.median(handover[name])),
        )
        for name in servers
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--bundle", type=Path, default=ROOT / "models" / "pretrained" / "nuclei")
    given = parser.parse_args()
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving(given.bundle, processes))
            for name, processes in (("alone", 1), ("fronts", 2))
        }
        print("| image | one process, ms | two fronts, ms | more | handover | processor, ms |")
        print("| --- | --: | --: | --: | --: | --: |")
        for width, height in SIZES:
            found = measure(servers, photograph(width, height), given.requests)
            (alone, alone_used, _), (behind, used, handover) = found["alone"], found["fronts"]
            print(
                f"| {width} x {height} | {alone:.2f} | {behind:.2f} | {behind - alone:+.2f} "
                f"| {handover:.2f} | {alone_used:.1f}, {used:.1f} |",
                flush=True,
            )
        for name, server in servers.items():
            print(name, "memory of each process alone, MiB:", server.memory())


if __name__ == "__main__":
    main()
