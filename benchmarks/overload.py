"""Overload: four times the service's capacity for a minute, with a verdict on its promises.

    python benchmarks/overload.py [--seconds 60] [--factor 4]

A server of its own is started. A closed loop finds its capacity; then images arrive by a Poisson
process at `factor` times that rate. Meanwhile /healthz is asked all the time and the server's
memory is read. Printed: the answers, latencies of those that were let in, and a verdict on

* every answer is 200, or 503 with Retry-After;
* the 99th percentile of what was let in stays below the wait that the server allows itself
  (`MASKZOO_QUEUE_S`) and three times the slowest answer without a queue, since decoding, the
  network and encoding of three images share the processor then;
* memory is flat once the largest batches were met: the most in the last quarter of the time is at
  most a twentieth above that of the third;
* /healthz answers every time, within two seconds.

Exit code 1 where one of them is not met.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from maskzoo.service.client.bench import EncodedImage, make_images

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / "models" / "pretrained" / "nuclei"
_CLIENTS = 2  # of the closed loop
_MAX_OPEN = 400  # requests of ours at a time; beyond, arrivals are counted as unsent


@dataclass
class Seen:
    """What came back."""

    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    health_failures: int = 0
    memory: list[int] = field(default_factory=list)
    retry_after: list[int] = field(default_factory=list)

    def verdicts(self, limit_s: float) -> dict[str, bool]:
        """Return what was promised, and whether it was kept."""
        _, _, before, after = self.memory_by_quarter()
        return {
            "answers are 200 or an honest 503": set(self.statuses) <= {"200", "503 + Retry-After"},
            "some were let in and some were not": len(self.statuses) >= 2,
            "p99 of those let in is bounded": self.p99_s <= limit_s,
            "memory is flat": after <= 1.05 * before,
            "/healthz always answers": not self.health_failures and max(self.health_s) < 2,
        }

    def memory_by_quarter(self) -> list[int]:
        """Return the largest resident set of each quarter of the time, in MiB."""
        return [round(max(part) / 2**20) for part in np.array_split(self.memory, 4)]

    @property
    def p99_s(self) -> float:
        """The 99th percentile of the latencies of what was let in."""
        return float(np.percentile(self.latencies, 99)) if self.latencies else float("inf")


@contextmanager
def serving(**settings: object) -> Iterator[tuple[str, int]]:
    """Run a server; yield its address and its process."""
    with tempfile.TemporaryDirectory() as state:
        given = {"bundles": BUNDLE, "shipped_bundles": False, "state_folder": state, **settings}
        env = os.environ | {f"MASKZOO_{key.upper()}": str(value) for key, value in given.items()}
        command = [sys.executable, "-m", "maskzoo", "serve", "--port", "0"]
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        try:
            url = next(line for line in process.stdout if "listening" in line).split()[-1]
            while httpx.get(f"{url}/readyz").status_code != 200:
                time.sleep(0.2)
            yield url, process.pid
        finally:
            process.terminate()
            process.wait(300)
            process.stdout.close()


async def capacity_of(http: httpx.AsyncClient, images: list[EncodedImage], seconds: float) -> float:
    """Return images per second of a few clients that wait for each answer."""
    done, end = 0, time.monotonic() + seconds

    async def ask(number: int) -> None:
        nonlocal done
        while time.monotonic() < end:
            number += 1
            body = images[number % len(images)].data
            if (await http.post("/segment", content=body)).status_code == 200:
                done += 1
            else:
                await asyncio.sleep(0.5)  # a client that insists would only take time away

    start = time.monotonic()
    await asyncio.gather(*(ask(number) for number in range(_CLIENTS)))
    return done / (time.monotonic() - start)


async def overload(
    http: httpx.AsyncClient, images: list[EncodedImage], rate: float, seconds: float, process: int
) -> Seen:
    """Send images at `rate` per second, whether they are answered or not."""
    seen = Seen()
    tasks: set[asyncio.Task[None]] = set()
    end = time.monotonic() + seconds
    watching = asyncio.create_task(_watch(http, seen, process))
    due, arrivals = time.monotonic(), random.Random(1)
    while due < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if len(tasks) < _MAX_OPEN:
            task = asyncio.create_task(_send(http, arrivals.choice(images), due, seen))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        else:
            seen.statuses["unsent"] += 1
        due += arrivals.expovariate(rate)
    await asyncio.gather(*tasks)
    watching.cancel()
    return seen


async def _send(http: httpx.AsyncClient, image: EncodedImage, due: float, seen: Seen) -> None:
    try:
        answer = await http.post("/segment", content=image.data)
    except httpx.HTTPError as error:
        seen.statuses[type(error).__name__] += 1
        return
    name = str(answer.status_code)
    if answer.status_code == 503 and "retry-after" in answer.headers:
        name += " + Retry-After"
        seen.retry_after.append(int(answer.headers["retry-after"]))
    seen.statuses[name] += 1
    if answer.status_code == 200:
        seen.latencies.append(time.monotonic() - due)


async def _watch(http: httpx.AsyncClient, seen: Seen, process: int) -> None:
    while True:
        start = time.monotonic()
        try:
            answer = await http.get("/healthz", timeout=10)
            seen.health_failures += answer.status_code != 200
        except httpx.HTTPError:
            seen.health_failures += 1
        seen.health_s.append(time.monotonic() - start)
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        seen.memory.append(pages * os.sysconf("SC_PAGE_SIZE"))
        await asyncio.sleep(0.25)


async def run(seconds: float, factor: float, **settings: object) -> dict[str, Any]:
    """Return the report of one run."""
    images = make_images(14)
    queue_s = 5.0
    with serving(queue_s=queue_s, **settings) as (url, process):
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as http:
            slowest_s = 0.0
            for image in [*images, *images]:  # an engine may compile for each size
                start = time.monotonic()
                await http.post("/segment", content=image.data)
                slowest_s = max(slowest_s, time.monotonic() - start)
            capacity = await capacity_of(http, images, max(5.0, seconds / 6))
            seen = await overload(http, images, factor * capacity, seconds, process)
    limit_s = queue_s + 3 * slowest_s
    marks = np.percentile(seen.latencies or [np.inf], [50, 99]).round(2).tolist()
    return {
        "capacity_per_s": round(capacity, 2),
        "sent_per_s": round(factor * capacity, 2),
        "answers": dict(seen.statuses),
        "accepted_per_s": round(len(seen.latencies) / seconds, 2),
        "p50_s": marks[0],
        "p99_s": marks[1],
        "retry_after_s": [min(seen.retry_after, default=0), max(seen.retry_after, default=0)],
        "health_max_s": round(max(seen.health_s), 3),
        "health_checks": len(seen.health_s),
        "memory_mib_by_quarter": seen.memory_by_quarter(),
        "p99_limit_s": round(limit_s, 2),
        "verdicts": seen.verdicts(limit_s),
    }


def main() -> None:
    """Print the report as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--factor", type=float, default=4)
    given = parser.parse_args()
    report = asyncio.run(run(given.seconds, given.factor))
    print(json.dumps(report, indent=2))
    sys.exit(0 if all(report["verdicts"].values()) else 1)


if __name__ == "__main__":
    main()
