"""The time in which a device has work: overlapping batches, against a sum over ticks."""

from __future__ import annotations

import random
from contextlib import ExitStack

from maskzoo.service.observability.busy import BusyTime


def test_two_batches_at_once_count_once_for_the_one_that_began_first():
    now = [0.0]
    busy = BusyTime(lambda: now[0])
    with ExitStack() as first, ExitStack() as second:
        first.enter_context(busy.running("cells"))
        now[0] = 2.0
        second.enter_context(busy.running("streets"))
        now[0] = 5.0
        first.close()
        now[0] = 6.0
        second.close()
    now[0] = 10.0
    assert busy.seconds() == {"cells": 5.0, "streets": 1.0}


def test_a_batch_that_fails_was_busy_too():
    now = [0.0]
    busy = BusyTime(lambda: now[0])
    try:
        with busy.running("cells"):
            now[0] = 2.0
            raise MemoryError
    except MemoryError:
        now[0] = 3.0
    assert busy.seconds() == {"cells": 2.0}


def test_the_sum_over_models_is_the_time_with_any_batch():
    draw, now, with_any = random.Random(0), [0.0], 0
    busy = BusyTime(lambda: now[0])
    running: list[ExitStack] = []
    for _ in range(500):
        if draw.random() < 0.4:
            running.append(ExitStack())
            running[-1].enter_context(busy.running(draw.choice("abc")))
        if running and draw.random() < 0.5:
            running.pop(draw.randrange(len(running))).close()
        with_any += bool(running)
        now[0] += 1
    assert sum(busy.seconds().values()) == with_any
