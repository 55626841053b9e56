"""Answers at once: refused by the header, counted while they are inside, measured."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import cv2
import numpy as np
import pytest

from maskzoo.models.errors import ImageFormatError, ImageTooLargeError
from maskzoo.models.images.decode import decode_image, read_header
from maskzoo.service.answering.answerer import Answerer
from maskzoo.service.answering.network import LocalDesk
from maskzoo.service.errors import DeadlineError, ImageNeedsJobError, OverloadedError
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.scheduling.admission import Admission
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.cost import TILES_AHEAD, Cost
from maskzoo.service.scheduling.network import run_batch
from maskzoo.service.scheduling.queueing import BatchQueue
from maskzoo.service.scheduling.workers import Workers

PIXELS = 40 * 60  # of the fixture `png`


def answer(order, data, write, *, inside: int = 0, job_max_pixels: int = 10**6, decoder=None):
    """Return the answer, what was written, the admission and the metrics.

    Args:
        inside: pixels of an image that is inside already; the room is a million.
    """

    async def run():
        workers = Workers(image_threads=1, network_threads=1)
        queue = BatchQueue(max_batch_pixels=10**6, max_batch_items=8)
        batcher = Batcher(partial(run_batch, workers), queue)
        parts = Admission(10**6), Metrics()
        desk = LocalDesk(workers, parts[0], batcher, parts[1])
        answerer = Answerer(workers, desk, parts[1], job_max_pixels, decoder)
        other = parts[0].admit(Cost(image_pixels=inside)) if inside else nullcontext()
        try:
            with other:
                return *await answerer.answer(order, data, partial(write, parts[0])), *parts
        finally:
            await batcher.close()
            workers.close()

    return asyncio.run(run())


def held(admission, _answer) -> int:
    return admission.pixels


def test_an_image_holds_its_room_until_its_answer_is_written(make_order, png):
    found, pixels, admission, metrics = answer(make_order(), png, held)
    assert found.runs.areas[1] == 200
    assert pixels >= PIXELS
    assert admission.pixels == 0
    assert list(found.timings.seconds) == ["decode", "queue", "network", "postprocess", "encode"]
    assert f'pixels_total{{model="cells"}} {PIXELS}.0' in metrics.render().decode()


@pytest.mark.parametrize(
    ("dtype", "tta", "counted"),
    [
        (np.uint8, "none", 1),
        (np.uint8, "flip", 2),  # views of the network
        (np.uint16, "none", 2),  # bytes of samples: six are more than one pixel of four
        (np.uint16, "d4", 8),  # the larger of the two counts
    ],
)
def test_an_image_counts_by_its_samples_or_by_the_runs_of_the_network(
    make_order, dtype, tta, counted
):
    _, data = cv2.imencode(".png", np.full((300, 310, 3), 200, dtype))
    _, pixels, *_ = answer(make_order(tta=tta), data.tobytes(), held)
    assert pixels == counted * 300 * 310


@pytest.mark.parametrize(
    ("job_max_pixels", "error", "message"),
    [
        (PIXELS, ImageNeedsJobError, "send it to POST /jobs"),
        (PIXELS - 1, ImageTooLargeError, "at most"),
    ],
)
def test_an_image_above_the_limit_is_sent_to_the_jobs_or_refused(
    make_order, png, counted_model, job_max_pixels, error, message
):
    order = make_order(max_pixels=PIXELS - 1)
    with pytest.raises(error, match=message) as caught:
        answer(order, png, held, job_max_pixels=job_max_pixels)
    assert type(caught.value) is error
    assert counted_model.calls == 0


def test_an_image_of_just_the_limit_is_answered_at_once(make_order, png, counted_model):
    answer(make_order(max_pixels=PIXELS), png, held, job_max_pixels=0)
    assert counted_model.calls == 1


def test_an_image_that_does_not_fit_beside_the_others_is_refused(make_order, png, counted_model):
    with pytest.raises(OverloadedError):
        answer(make_order(), png, held, inside=10**6)
    assert counted_model.calls == 0


def test_bytes_that_are_not_an_image_are_refused_by_the_name_of_the_file(make_order):
    with pytest.raises(ImageFormatError, match=r"a\.png is not a readable image"):
        answer(make_order(), b"hello", held)


def test_a_deadline_that_has_passed_is_refused_before_the_work(make_order, png, counted_model):
    order = replace(make_order(), deadline=0.0)
    with pytest.raises(DeadlineError, match="deadline"):
        answer(order, png, held)
    assert counted_model.calls == 0


def test_an_image_is_planned_once(make_order, png, counted_model, monkeypatch):
    planned = []
    plan = counted_model.plan
    monkeypatch.setattr(counted_model, "plan", lambda *given: planned.append(given) or plan(*given))
    answer(make_order(mode="tiled"), png, held)
    assert len(planned) == 1


class NotedDecoder:
    """Takes every file, and decodes it here."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def takes(self, source: bytes) -> bool:
        """Take it."""
        return True

    async def header(self, source: bytes, *, name: str):
        """Read the header."""
        self.asked.append(name)
        return read_header(source)

    async def decode(self, source: bytes, header, *, name: str, max_pixels: int, bands):
        """Decode the file."""
        self.asked.append((name, max_pixels, bands))
        return decode_image(source)


def test_header_and_pixels_of_a_file_for_the_decoder_are_read_by_it(make_order, png):
    decoder = NotedDecoder()
    found, *_ = answer(make_order(max_pixels=5000), png, held, decoder=decoder)
    assert found.runs.areas[1] == 200
    assert decoder.asked == ["a.png", ("a.png", 5000, None)]


@pytest.mark.parametrize("seconds", [None, 50.0])
def test_the_time_that_is_left_is_told_at_the_door(make_order, png, monkeypatch, seconds):
    told = []
    admit = Admission.admit

    def note(self, cost, *, model, within_s=math.inf):
        told.append(within_s)
        return admit(self, cost, model=model, within_s=within_s)

    monkeypatch.setattr(Admission, "admit", note)
    ends = None if seconds is None else time.monotonic() + seconds
    answer(replace(make_order(), deadline=ends), png, held)
    assert told == [math.inf] if seconds is None else 40 < told[0] <= 50


def test_the_tiles_of_a_client_that_has_left_are_not_run(make_order, encode, counted_model):
    """Of 25 tiles one is at the network and a few wait for it when the client leaves."""
    started, release, ended = threading.Event(), threading.Event(), threading.Event()
    logits, segment_rows = counted_model.logits, counted_model.segment_rows

    def logits_held(images, options):
        started.set()
        assert release.wait(30)
        return logits(images, options)

    def segment_noted(*given, **options):
        try:
            yield from segment_rows(*given, **options)
        finally:
            ended.set()

    counted_model.logits, counted_model.segment_rows = logits_held, segment_noted

    async def leave() -> None:
        workers = Workers(image_threads=1, network_threads=1)
        batcher = Batcher(
            partial(run_batch, workers), BatchQueue(max_batch_pixels=64 * 64, max_batch_items=1)
        )
        desk = LocalDesk(workers, Admission(10**6), batcher, Metrics())
        answerer = Answerer(workers, desk, Metrics(), 10**6)
        data = encode(np.zeros((300, 300, 3), np.uint8))
        task = asyncio.create_task(
            answerer.answer(make_order(mode="tiled"), data, lambda answer: answer)
        )
        try:
            assert await asyncio.to_thread(started.wait, 30)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            release.set()
            assert await asyncio.to_thread(ended.wait, 30)
        finally:
            release.set()
            await batcher.close()
            workers.close()

    asyncio.run(leave())
    assert sum(counted_model.tiles) <= TILES_AHEAD
