"""The order of samples: a pure function of seed and position, shared out among ranks."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import Any

import pytest

from maskzoo.training.steps.stream import SampleStream

Batches = list[list[tuple[int, int]]]


def batches(**changes: Any) -> Batches:
    settings = {"counts": [2] * 7, "batch_size": 4, "seed": 3, "start": 0, "stop": 21}
    return list(SampleStream(**(settings | changes)))


def test_a_stream_that_starts_later_is_the_end_of_the_whole_one() -> None:
    whole = batches()
    assert [len(batch) for batch in whole] == [4] * 21
    for start in (1, 3, 4, 20):
        assert batches(start=start) == whole[start:]


def test_each_epoch_takes_every_image_as_often_as_asked_and_no_key_twice() -> None:
    keys = [key for batch in batches() for key in batch]  # 84 = 6 epochs of 7 * 2
    assert len(set(keys)) == len(keys)
    for epoch in range(6):
        part = keys[14 * epoch : 14 * (epoch + 1)]
        assert Counter(index for _, index in part) == dict.fromkeys(range(7), 2)
        assert {number for number, _ in part} == {2 * epoch, 2 * epoch + 1}


def test_images_are_taken_as_often_as_each_is_asked_for_and_no_key_twice() -> None:
    keys = [key for batch in batches(counts=[1, 4, 2], batch_size=7, stop=5) for key in batch]
    assert len(set(keys)) == len(keys) == 35
    for epoch in range(5):
        part = keys[7 * epoch : 7 * (epoch + 1)]
        assert Counter(index for _, index in part) == {0: 1, 1: 4, 2: 2}


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    keys = [index for batch in batches(counts=[1] * 7) for _, index in batch]
    epochs = {tuple(keys[7 * number : 7 * (number + 1)]) for number in range(12)}
    assert len(epochs) > 8
    assert batches(seed=4) != batches()


@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_ranks_share_out_each_batch(world_size: int) -> None:
    shares = [batches(rank=rank, world_size=world_size) for rank in range(world_size)]
    joined = [list(chain(*parts)) for parts in zip(*shares, strict=True)]
    assert joined == batches()


def test_a_batch_may_be_larger_than_the_data() -> None:
    (batch,) = batches(counts=[1, 1, 1], batch_size=8, stop=1)
    assert len(batch) == len(set(batch)) == 8
    assert sorted(Counter(index for _, index in batch).values()) == [2, 3, 3]


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size 4 must be a multiple of 3 devices"):
        batches(world_size=3)


def test_the_length_is_the_number_of_steps_left() -> None:
    stream = SampleStream(counts=[1, 1, 1], batch_size=2, seed=0, start=5, stop=9)
    assert len(stream) == len(list(stream)) == 4
