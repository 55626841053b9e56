from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from maskzoo.models.errors import DataError
from maskzoo.training.data.feed.cache import DecodeCache

SIZES = [(4, 6), (5, 5), (4, 4), (2, 3)]
IMAGES = [Path(f"{n}.png") for n in range(4)]


def sample(index):
    rng = np.random.default_rng(index)
    height, width = SIZES[index]
    return (
        rng.integers(0, 256, (height, width, 3), np.uint8),
        rng.integers(0, 9, (height, width), np.uint8),
    )


def filled(max_bytes):
    cache = DecodeCache(IMAGES, SIZES, max_bytes=max_bytes)
    for index in range(4):
        cache.put(index, *sample(index))
    return cache


def test_what_is_put_comes_back_read_only():
    cache = filled(10_000)
    assert cache.num_bytes == 4 * (24 + 25 + 16 + 6)
    for index in range(4):
        image, mask = cache.get(index)
        assert np.array_equal(image, sample(index)[0])
        assert np.array_equal(mask, sample(index)[1])
        assert not image.flags.writeable
        assert not mask.flags.writeable


def test_an_empty_place_gives_nothing():
    assert DecodeCache(IMAGES, SIZES, max_bytes=10_000).get(0) is None


def test_the_first_that_fit_are_kept_within_the_bound():
    cache = filled(4 * (24 + 16 + 6))
    kept = [index for index in range(4) if cache.get(index) is not None]
    assert kept == [0, 2, 3]  # 5 x 5 does not fit beside the first, what follows does
    assert cache.num_bytes == 4 * (24 + 16 + 6)
    assert filled(0).num_bytes == 0
    assert filled(0).get(0) is None


def test_what_a_forked_process_decodes_is_there_for_the_others():
    cache = DecodeCache(IMAGES, SIZES, max_bytes=10_000)
    process = multiprocessing.get_context("fork").Process(target=cache.put, args=(1, *sample(1)))
    process.start()
    process.join()
    assert np.array_equal(cache.get(1)[0], sample(1)[0])
    assert cache.get(0) is None


def test_a_process_that_is_not_forked_gets_an_even_part():
    cache = DecodeCache(IMAGES, SIZES, max_bytes=2 * 4 * 24, num_processes=2)
    copy = pickle.loads(pickle.dumps(cache))
    assert copy.num_bytes == 4 * 24
    assert copy.get(0) is None
    copy.put(0, *sample(0))
    assert np.array_equal(copy.get(0)[1], sample(0)[1])
    assert cache.get(0) is None


def test_an_image_that_changed_its_size_is_named():
    cache = filled(10_000)
    with pytest.raises(DataError, match=r"1\.png has changed: it was 5 x 5 .* is 6 x 4 now"):
        cache.put(1, *sample(0))
