"""The load generator of `maskzoo bench`: closed and open loops against a running service.

In a closed loop, each of `concurrency` clients waits for its answer before the next request, which
measures the capacity. In an open loop, requests arrive at random moments (a Poisson process), and a
latency counts from the moment at which its request was due, so that a server that stalls cannot
hide the requests that would have arrived meanwhile. Images have mixed sizes, close to those of
COCO. Errors are counted by status and do not count as latencies.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import httpx
import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from maskzoo.models.errors import ZooError

SIZES = [(640, 480), (640, 427), (640, 480), (480, 640), (500, 375), (1024, 768), (1280, 720)]
"""Width and height; common sizes are repeated."""

_BATCH_BUCKET = "maskzoo_batch_size_bucket"

Clock = Callable[[], float]


@dataclass(frozen=True)
class EncodedImage:
    """One encoded image."""

    data: bytes
    pixels: int


@dataclass
class LoadRound:
    """The measurements of one round at one load.

    Args:
        kind: `closed` or `open`.
        load: clients, or requests per second.
        seconds: from the first request to the last answer.
        latencies: seconds of each image that was answered.
        pixels: of those images.
        statuses: number of answers by status; 0 where the connection failed.
        batches: number of runs of the networks by batch size, up to the bound that is the key.
    """

    kind: str
    load: float
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    pixels: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    batches: dict[str, int] = field(default_factory=dict)

    def count(self, status: int, latency: float, image: EncodedImage) -> None:
        """Count one answer."""
        self.statuses[status] += 1
        if status == 200:
            self.latencies.append(latency)
            self.pixels += image.pixels

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


def make_images(count: int, *, seed: int = 0) -> list[EncodedImage]:
    """Draw JPEG images of mixed sizes: blurred noise, so that they compress as photos do."""
    generator = np.random.default_rng(seed)
    images = []
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        small = generator.integers(0, 255, (height // 16, width // 16, 3), np.uint8)
        pixels = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        done, data = cv2.imencode(".jpg", pixels)
        assert done, "OpenCV encodes any uint8 image"
        images.append(EncodedImage(data.tobytes(), width * height))
    return images


class LoadGenerator:
    """Sends images to one service.

    Args:
        http: a client whose base is the service.
        params: of each request.
        seed: of the order of the images and of the arrivals.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        images: Sequence[EncodedImage],
        *,
        params: dict[str, str] | None = None,
        seed: int = 0,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._http = http
        self._images = list(images)
        self._params = params or {}
        self._seed = seed
        self._clock = clock

    async def closed(self, concurrency: int, seconds: float) -> LoadRound:
        """Run a closed loop: `concurrency` clients ask one image after another for `seconds`."""
        chosen = random.Random(self._seed)
        result = LoadRound("closed", concurrency)

        async def ask(started: float) -> None:
            while self._clock() - started < seconds:
                await self._one(result, chosen.choice(self._images), self._clock())

        return await self._measure(
            result, lambda started: asyncio.gather(*(ask(started) for _ in range(concurrency)))
        )

    async def open(self, rate: float, seconds: float) -> LoadRound:
        """Run an open loop: `rate` requests per second on average, independent of the server."""
        due = arrivals(rate, seconds, seed=self._seed)
        chosen = random.Random(self._seed)
        result = LoadRound("open", rate)

        async def ask(moment: float, image: EncodedImage) -> None:
            await asyncio.sleep(max(0.0, moment - self._clock()))
            await self._one(result, image, moment)

        return await self._measure(
            result,
            lambda started: asyncio.gather(
                *(ask(started + moment, chosen.choice(self._images)) for moment in due)
            ),
        )

    async def try_once(self) -> int:
        """Send one image; return the status of the answer."""
        result = LoadRound("closed", 1)
        await self._one(result, self._images[0], self._clock())
        return next(iter(result.statuses))

    async def _one(self, result: LoadRound, image: EncodedImage, since: float) -> None:
        try:
            answer = await self._http.post("/segment", params=self._params, content=image.data)
            status = answer.status_code
        except httpx.TransportError:
            status = 0
        result.count(status, self._clock() - since, image)

    async def _measure(
        self, result: LoadRound, work: Callable[[float], Awaitable[Any]]
    ) -> LoadRound:
        before = await self._batches()
        started = self._clock()
        await work(started)
        result.seconds = self._clock() - started
        after = await self._batches()
        result.batches = histogram(before, after)
        return result

    async def _batches(self) -> dict[float, float]:
        """Return the service's cumulative batch counts; empty if it does not publish them."""
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
    found: dict[float, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == _BATCH_BUCKET:  # of each model
                found[float(sample.labels["le"])] += sample.value
    return dict(found)


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
    images: Sequence[EncodedImage],
    *,
    params: dict[str, str],
    concurrency: Sequence[int],
    rates: Sequence[float],
    seconds: float,
    seed: int = 0,
    on_round: Callable[[LoadRound], None] = lambda _: None,
) -> list[LoadRound]:
    """Run the closed loops, then the open ones.

    Args:
        rates: fractions of the capacity that the closed loops found: 0.8 is 80 % of it.
        on_round: called with each round as it ends.

    Raises:
        ZooError: the first request of all fails.
    """
    generator = LoadGenerator(http, images, params=params, seed=seed)
    status = await generator.try_once()
    if status != 200:
        reason = f"answered {status}" if status else "cannot be reached"
        raise ZooError(f"the service at {http.base_url} {reason}; is it running, with that model?")
    rounds = []
    for clients in concurrency:
        rounds.append(await generator.closed(clients, seconds))
        on_round(rounds[-1])
    capacity = max((len(one.latencies) / one.seconds for one in rounds), default=1.0)
    for fraction in rates:
        rounds.append(await generator.open(fraction * capacity, seconds))
        on_round(rounds[-1])
    return rounds
