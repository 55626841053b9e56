"""Soak: half an hour of mixed work, and how much memory the server keeps when it is over.

    python benchmarks/soak.py [--minutes 30] [--clients 3] [--settle 60]

A server of its own with the shipped bundles is started. Clients send images of many sizes (64 x 64
to 2048 x 2048), file formats, models, options and answer formats, some that are damaged, and jobs
of up to 16 megapixels, whose results are fetched. For each minute a line is printed: requests,
errors, the 99th percentile of the times, resident memory, threads and open files. "Idle" is the
server after each model has answered once; "after" is the server when it has rested for `--settle`
seconds. Exit code 1 if it keeps more than 1.5 times the idle memory, or any answer was a 5xx other
than 503.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import httpx
import numpy as np
import tifffile
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
MOST_KEPT = 1.5
MODELS = ("nuclei", "aerial", "aerial-danet")
SIDES = (64, 128, 200, 256, 333, 512, 640, 768, 1000, 1280, 2048)
OPTIONS: tuple[dict[str, str], ...] = (
    {},
    {"variant": "overlay", "format": "png"},
    {"format": "json", "masks": "rle"},
    {"format": "json", "masks": "polygons"},
    {"format": "geojson"},
    {"format": "npz"},
    {"format": "tiff"},
    {"mode": "tiled"},
    {"mode": "resize", "max_side": "256"},
    {"tta": "flip"},
)


@dataclass
class Minute:
    """What happened in one minute."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


@dataclass
class Load:
    """The clients, and what they have seen."""

    url: str
    minute: Minute = field(default_factory=Minute)
    statuses: Counter[int] = field(default_factory=Counter)
    jobs: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)

    def note(self, status: int, seconds: float) -> None:
        """Count one answer."""
        with self.lock:
            self.minute.statuses[status] += 1
            self.statuses[status] += 1
            self.minute.seconds.append(seconds)

    def take_minute(self) -> Minute:
        """Return what was seen since the last call."""
        with self.lock:
            minute, self.minute = self.minute, Minute()
        return minute

    def send(self, seed: int) -> None:
        """Send images one after the other until the end."""
        chance = random.Random(seed)
        with httpx.Client(base_url=self.url, timeout=300) as client:
            while not self.stop.is_set():
                params = {"model": chance.choice(MODELS), **chance.choice(OPTIONS)}
                body = image(chance, chance.choices(SIDES, range(len(SIDES), 0, -1))[0])
                if chance.random() < 0.05:
                    body = body[: len(body) // 2]
                begun = time.perf_counter()
                answer = client.post("/segment", params=params, content=body)
                self.note(answer.status_code, time.perf_counter() - begun)

    def send_jobs(self, seed: int, every_s: float) -> None:
        """Send a job now and then, and fetch its result."""
        chance = random.Random(seed)
        with httpx.Client(base_url=self.url, timeout=300) as client:
            while not self.stop.wait(every_s):
                body = image(chance, chance.choice((2000, 3000, 4000)))
                params = {"model": chance.choice(MODELS[:2]), "mode": "tiled"}
                params |= {"format": chance.choice(("png", "json", "tiff"))}
                answer = client.post("/jobs", params=params, content=body)
                if answer.status_code != 202:
                    self.jobs[str(answer.status_code)] += 1
                    continue
                address = f"/jobs/{answer.json()['id']}"
                while (state := client.get(address).json()["state"]) in ("queued", "running"):
                    if self.stop.wait(1):
                        break
                if state == "done":
                    client.get(f"{address}/result").raise_for_status()
                client.delete(address)
                self.jobs[state] += 1


def image(chance: random.Random, side: int) -> bytes:
    """Return an image file of about this side, in one of the formats."""
    height, width = (max(16, side - chance.randrange(side // 4)) for _ in range(2))
    seed = np.random.default_rng(chance.randrange(1 << 30))
    coarse = seed.integers(0, 256, (height // 16 + 1, width // 16 + 1, 3), np.uint8)
    pixels = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    stream, kind = io.BytesIO(), chance.choice(("PNG", "JPEG", "progressive", "WEBP", "TIFF"))
    if kind == "TIFF":
        tifffile.imwrite(stream, pixels, photometric="rgb", tile=(256, 256), compression="zlib")
    else:
        progressive = {"progressive": True} if kind == "progressive" else {}
        saved = "JPEG" if kind == "progressive" else kind
        Image.fromarray(pixels).save(stream, saved, **progressive)
    return stream.getvalue()


@contextmanager
def server(state: Path, environment: dict[str, str]):
    """Yield the process of a server, and its address, once all models are ready."""
    env = os.environ | {"MASKZOO_STATE_FOLDER": str(state), "MASKZOO_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "maskzoo", "serve", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=ROOT, env=env | environment, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = next(line.split()[-1] for line in process.stdout if line.startswith("listening"))
        while httpx.get(f"{url}/readyz", timeout=60).status_code != 200:
            time.sleep(0.2)
        yield process, url
    finally:
        process.terminate()
        process.wait(60)


def memory_of(pid: int) -> tuple[float, float]:
    """Return the resident MB of a process, and of its children together."""
    children = [
        child
        for file in Path(f"/proc/{pid}/task").glob("*/children")
        for child in file.read_text().split()
    ]
    return _resident(str(pid)), sum(map(_resident, children))


def _resident(pid: str) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def print_line(name: str, pid: int, minute: Minute) -> None:
    """Print one line of the table."""
    own, others = memory_of(pid)
    threads, files = (len(os.listdir(f"/proc/{pid}/{part}")) for part in ("task", "fd"))
    times = sorted(minute.seconds)
    p99 = times[int(0.99 * (len(times) - 1))] if times else 0.0
    refused = sum(count for status, count in minute.statuses.items() if 400 <= status < 500)
    faults = sum(count for status, count in minute.statuses.items() if status >= 500)
    cells = [name, len(times), refused, faults, f"{p99:.2f}", f"{own:.0f}", f"{others:.0f}"]
    print("| " + " | ".join(map(str, [*cells, threads, files])) + " |", flush=True)


def main() -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--jobs-every", type=float, default=20, help="seconds between jobs")
    parser.add_argument("--settle", type=float, default=60, help="seconds of rest at the end")
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE for the server")
    asked = parser.parse_args()
    environment = dict(pair.split("=", 1) for pair in asked.env)
    with tempfile.TemporaryDirectory() as state, server(Path(state), environment) as (process, url):
        for model in MODELS:
            body = image(random.Random(0), 512)
            httpx.post(f"{url}/segment?model={model}", content=body, timeout=300).raise_for_status()
        print(
            "| minute | requests | 4xx | 5xx | p99 s | server MB | decoders MB | threads | files |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        print_line("idle", process.pid, Minute())
        (idle, idle_decoders), peak = memory_of(process.pid), 0.0
        load = Load(url)
        threads = [
            threading.Thread(target=load.send, args=(seed,)) for seed in range(asked.clients)
        ]
        threads.append(threading.Thread(target=load.send_jobs, args=(99, asked.jobs_every)))
        for thread in threads:
            thread.start()
        begun = time.monotonic()
        for number in range(1, round(asked.minutes) + 1):
            while time.monotonic() < begun + 60 * number:
                time.sleep(0.5)
                peak = max(peak, memory_of(process.pid)[0])
            print_line(str(number), process.pid, load.take_minute())
        load.stop.set()
        for thread in threads:
            thread.join()
        time.sleep(asked.settle)
        print_line("after", process.pid, load.take_minute())
        after, decoders = memory_of(process.pid)
    print(f"answers {dict(load.statuses)}; jobs {dict(load.jobs)}")
    print(f"idle {idle:.0f} MB, peak {peak:.0f} MB, after {after:.0f} MB: {after / idle:.2f} times")
    kept = (after + decoders) / (idle + idle_decoders)
    print(f"with its decoding processes: {kept:.2f} times")
    faults = sum(n for status, n in load.statuses.items() if status >= 500 and status != 503)
    return int(after > MOST_KEPT * idle or faults > 0)


if __name__ == "__main__":
    sys.exit(main())
