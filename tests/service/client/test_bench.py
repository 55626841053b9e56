"""The load generator: arrivals, latencies from the scheduled time, what it writes."""

from __future__ import annotations

import asyncio
import itertools
import json

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from maskzoo import cli
from maskzoo.service.client.bench import (
    EncodedImage,
    LoadGenerator,
    LoadRound,
    arrivals,
    histogram,
    make_images,
    read_buckets,
)
from maskzoo.service.client.bench_report import format_round

IMAGES = [EncodedImage(b"x", 1_000_000)]


def test_arrivals_are_a_poisson_process():
    moments = np.array(arrivals(50, 400, seed=3))
    gaps = np.diff(moments)
    assert len(moments) == pytest.approx(20_000, rel=0.03)
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.03)
    assert gaps.std() == pytest.approx(1 / 50, rel=0.05), "as an exponential's"
    assert arrivals(50, 1, seed=3) == arrivals(50, 1, seed=3)


def test_images_have_mixed_sizes_and_are_the_same_each_time():
    images = make_images(7)
    assert {image.pixels for image in images} >= {640 * 480, 1280 * 720}
    assert images == make_images(7)


class Ticks:
    """A clock that goes on by a millisecond whenever it is read."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def __call__(self) -> float:
        """Return the seconds."""
        return next(self._count) / 1000


def load(answer, **more: object) -> LoadGenerator:
    transport = httpx.MockTransport(answer)
    return LoadGenerator(
        httpx.AsyncClient(transport=transport, base_url="http://x"), IMAGES, **more
    )


def test_a_latency_counts_from_the_moment_a_request_was_due():
    """A server that takes one request at a time: the open loop sees the queue, as clients would."""
    lock = asyncio.Lock()

    async def slow(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/metrics":
            return httpx.Response(404)
        async with lock:
            await asyncio.sleep(0.05)
        return httpx.Response(200)

    result = asyncio.run(load(slow).open(100, 0.3))
    count = len(result.latencies)
    assert count == len(arrivals(100, 0.3, seed=0))
    assert max(result.latencies) > 0.05 * count - 0.3, "the last one waited for all before it"


def test_a_closed_loop_never_has_more_requests_than_clients():
    inside, most = 0, 0

    async def watch(request: httpx.Request) -> httpx.Response:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1
        return httpx.Response(200)

    result = asyncio.run(load(watch, clock=Ticks()).closed(3, 0.05))
    assert most == 3
    row = result.to_json()
    assert row["megapixels_per_s"] == pytest.approx(row["images_per_s"], rel=0.01)


def test_errors_are_counted_by_status_and_do_not_count_as_latencies():
    answers = iter([200, 503, 503, 0] * 1000)

    async def flaky(request: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status == 0:
            raise httpx.ConnectError("gone")
        return httpx.Response(status)

    result = asyncio.run(load(flaky, clock=Ticks()).closed(1, 0.05))
    assert result.to_json()["errors"].keys() == {"0", "503"}
    assert len(result.latencies) == result.statuses[200]


def test_batches_are_what_came_between_two_readings():
    counted = [
        *(("cells", "1.0", 4), ("cells", "2.0", 6), ("cells", "+Inf", 7)),
        *(("roofs", "1.0", 1), ("roofs", "2.0", 1), ("roofs", "+Inf", 1)),
    ]
    text = "# TYPE maskzoo_batch_size histogram\n" + "".join(
        f'maskzoo_batch_size_bucket{{le="{le}",model="{model}"}} {number}\n'
        for model, le, number in counted
    )
    after = read_buckets(text)
    assert after == {1.0: 5, 2.0: 7, float("inf"): 8}
    assert histogram({1.0: 2, 2.0: 2, float("inf"): 2}, after) == {"1": 3, "2": 2, "more": 1}
    assert histogram(after, after) == {}


def test_percentiles_are_those_of_the_latencies():
    one = LoadRound("open", 10, seconds=2, latencies=[number / 100 for number in range(1, 101)])
    row = one.to_json()
    assert (row["p50_s"], row["p95_s"], row["p99_s"]) == (0.505, 0.9505, 0.9901)
    assert row["images_per_s"] == 50
    assert "10.00/s arrive" in format_round(one)
    assert LoadRound("closed", 1).to_json()["p99_s"] is None


def test_the_command_measures_a_real_service(serve, counted_model, tmp_path):
    address = serve(counted_model)
    command = ["bench", address, "--seconds", "0.2", "--concurrency", "1,2", "--rates", "0.5"]
    result = CliRunner().invoke(cli.app, [*command, "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "2 clients" in result.output
    document = json.loads((tmp_path / "bench.json").read_text())
    assert [row["kind"] for row in document["rounds"]] == ["closed", "closed", "open"]
    assert all(row["errors"] == {} for row in document["rounds"])
    assert sum(document["rounds"][0]["batches"].values()) == document["rounds"][0]["images"]
    with Image.open(tmp_path / "bench.png") as plot:
        assert plot.size == (1200, 480)


def test_a_service_that_cannot_be_reached_is_an_error(tmp_path):
    result = CliRunner().invoke(cli.app, ["bench", "http://127.0.0.1:9", "--seconds", "0.1"])
    assert "cannot be reached" in str(result.exception)
