"""`maskzoo bench`: how much a service does, and how long it takes.

Two ways. In a closed loop as many clients as `concurrency` each wait for their answer before they
ask again: that finds the capacity. In an open loop requests come when they come (Poisson), and a
latency counts from the moment a request was due, so that a server that stalls cannot hide the
requests that would have come meanwhile. Images have mixed sizes, near those of COCO.
Errors are counted by their status, and are no latencies.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from maskzoo.models.errors import ZooError

SIZES = [(640, 480), (640, 427), (640, 480), (480, 640), (500, 375), (1024, 768), (1280, 720)]
"""Width and height; the common ones more than once."""

_BATCH_BUCKET = "maskzoo_batch_size_bucket"

Clock = Callable[[], float]


@dataclass(frozen=True)
class Picture:
    """One encoded image."""

    data: bytes
    pixels: int


@dataclass
class Round:
    """What one load did.

    Args:
        kind: `closed` or `open`.
        load: clients, or requests per second.
        seconds: from the first request to the last answer.
        latencies: seconds of each image that was answered.
        pixels: of those images.
        statuses: number of answers by status; 0 where the connection failed.
        batches: number of the networks' runs by their size, up to the bound that is the key.
    """

    kind: str
    load: float
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    pixels: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    batches: dict[str, int] = field(default_factory=dict)

    def count(self, status: int, latency: float, picture: Picture) -> None:
        """Note one answer."""
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(latency)
            self.pixels += picture.pixels

    def to_json(self) -> dict[str, Any]:
        """Return the numbers that are reported."""
        marks = np.percentile(self.latencies, [50, 95, 99]) if self.latencies else [None] * 3
        p50, p95, p99 = (None if mark is None else round(float(mark), 5) for mark in marks)
        duration = max(self.seconds, 1e-9)
        return {
            "kind": self.kind,
            "load": self.load,
            "seconds": round(self.seconds, 3),
            "images": len(self.latencies),
            "images_per_s": round(len(self.latencies) / duration, 3),
            "megapixels_per_s": round(self.pixels / duration / 1e6, 3),
            "p50_s": p50,
            "p95_s": p95,
            "p99_s": p99,
            "errors": {str(code): n for code, n in sorted(self.statuses.items()) if code != 200},
            "batches": self.batches,
        }


def make_pictures(count: int, *, seed: int = 0) -> list[Picture]:
    """Draw JPEG images of mixed sizes: blurred noise, so that they compress as photos do."""
    generator = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        small = generator.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
        pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        done, data = cv2.imencode(".jpg", pixels)
        assert done, "OpenCV encodes any uint8 picture"
        pictures.append(Picture(data.tobytes(), width * height))
    return pictures


class Load:
    """Sends images to one service.

    Args:
        http: a client whose base is the service.
        params: of each request.
        seed: of the order of the images and of the arrivals.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        pictures: Sequence[Picture],
        *,
        params: dict[str, str] | None = None,
        seed: int = 0,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._http = http
        self._pictures = list(pictures)
        self._params = params or {}
        self._seed = seed
        self._clock = clock

    async def closed(self, concurrency: int, seconds: float) -> Round:
        """Let so many clients ask one after the other for so long."""
        chosen = random.Random(self._seed)
        result = Round("closed", concurrency)

        async def ask(begun: float) -> None:
            while self._clock() - begun < seconds:
                await self._one(result, chosen.choice(self._pictures), self._clock())

        return await self._measure(
            result, lambda begun: asyncio.gather(*(ask(begun) for _ in range(concurrency)))
        )

    async def open(self, rate: float, seconds: float) -> Round:
        """Let requests come at so many a second on average, whatever the server does."""
        due = arrivals(rate, seconds, seed=self._seed)
        chosen = random.Random(self._seed)
        result = Round("open", rate)

        async def ask(moment: float, picture: Picture) -> None:
            await asyncio.sleep(max(0.0, moment - self._clock()))
            await self._one(result, picture, moment)

        return await self._measure(
            result,
            lambda begun: asyncio.gather(
                *(ask(begun + moment, chosen.choice(self._pictures)) for moment in due)
            ),
        )

    async def try_out(self) -> int:
        """Send one image; return the status of the answer."""
        result = Round("closed", 1)
        await self._one(result, self._pictures[0], self._clock())
        return next(iter(result.statuses))

    async def _one(self, result: Round, picture: Picture, since: float) -> None:
        try:
            answer = await self._http.post("/segment", params=self._params, content=picture.data)
            status = answer.status_code
        except httpx.TransportError:
            status = 0
        result.count(status, self._clock() - since, picture)

    async def _measure(self, result: Round, work: Callable[[float], Awaitable[Any]]) -> Round:
        before = await self._batches()
        begun = self._clock()
        await work(begun)
        result.seconds = self._clock() - begun
        after = await self._batches()
        result.batches = histogram(before, after)
        return result

    async def _batches(self) -> dict[float, float]:
        """Return the service's cumulative counts of batches; none where it does not tell."""
        try:
            answer = await self._http.get("/metrics")
        except httpx.TransportError:
            return {}
        return read_buckets(answer.text) if answer.status_code == 200 else {}


def arrivals(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Return the moments of a Poisson process, in seconds from its start."""
    generator = random.Random(seed)
    moments, now = [], generator.expovariate(rate)
    while now < seconds:
        moments.append(now)
        now += generator.expovariate(rate)
    return moments


def read_buckets(text: str) -> dict[float, float]:
    """Return the batches up to each size, from Prometheus' text."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == _BATCH_BUCKET
    }


def histogram(before: dict[float, float], after: dict[float, float]) -> dict[str, int]:
    """Return the batches of each bucket between two readings, without the empty ones."""
    found, below = {}, 0.0
    for bound in sorted(after):
        total = after[bound] - before.get(bound, 0.0)
        if total > below:
            found["more" if bound == float("inf") else f"{bound:g}"] = int(total - below)
        below = total
    return found


async def run_bench(
    http: httpx.AsyncClient,
    pictures: Sequence[Picture],
    *,
    params: dict[str, str],
    concurrency: Sequence[int],
    rates: Sequence[float],
    seconds: float,
    seed: int = 0,
    on_round: Callable[[Round], None] = lambda _: None,
) -> list[Round]:
    """Run the closed loops, then the open ones.

    Args:
        rates: shares of the capacity that the closed loops found: 0.8 is 80 % of it.
        on_round: is told each round as it ends.

    Raises:
        ZooError: the first request of all fails.
    """
    load = Load(http, pictures, params=params, seed=seed)
    status = await load.try_out()
    if status != 200:
        reason = f"answered {status}" if status else "cannot be reached"
        raise ZooError(f"the service at {http.base_url} {reason}; is it running, with that model?")
    rounds = []
    for clients in concurrency:
        rounds.append(await load.closed(clients, seconds))
        on_round(rounds[-1])
    capacity = max((len(one.latencies) / one.seconds for one in rounds), default=1.0)
    for share in rates:
        rounds.append(await load.open(share * capacity, seconds))
        on_round(rounds[-1])
    return rounds
