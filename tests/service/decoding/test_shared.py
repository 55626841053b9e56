"""Arrays in shared memory: whole, sealed, and of the layout that was said."""

from __future__ import annotations

import os

import numpy as np
import pytest

from maskzoo.service.decoding.shared import HAS_SHARED_MEMORY, attach, layout_of, share

pytestmark = pytest.mark.skipif(not HAS_SHARED_MEMORY, reason="only Linux has such memory")


def test_several_arrays_come_back_equal_and_outlive_the_descriptor():
    arrays = [
        np.arange(5, dtype=np.uint8),
        np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        np.full((3, 3), 7, np.uint16),
    ]
    descriptor = share(arrays)
    found = attach(descriptor, layout_of(arrays))
    os.close(descriptor)
    for one, other in zip(arrays, found, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_an_array_that_is_not_contiguous_is_copied_as_it_is_seen():
    seen = np.arange(24, dtype=np.uint8).reshape(4, 6)[::2, ::-1]
    descriptor = share([seen])
    (found,) = attach(descriptor, layout_of([seen]))
    os.close(descriptor)
    np.testing.assert_array_equal(found, seen)


@pytest.mark.parametrize(
    "layout",
    [
        [([3, 4], "uint8")],  # more than there is
        [([0, 4], "uint8")],
        [([-1], "uint8")],
        [([2.0], "uint8")],
        [([5], "object")],
    ],
)
def test_a_layout_that_the_memory_does_not_have_is_refused(layout):
    descriptor = share([np.zeros(5, np.uint8)])
    with pytest.raises(ValueError, match=r"shape|buffer"):
        attach(descriptor, layout)
    os.close(descriptor)


def test_memory_that_could_shrink_while_it_is_read_is_refused():
    descriptor = os.memfd_create("loose")
    os.ftruncate(descriptor, 64)
    with pytest.raises(ValueError, match="not sealed"):
        attach(descriptor, [([5], "uint8")])
    os.close(descriptor)
