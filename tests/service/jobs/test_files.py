"""The arrays of jobs lie in files."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from maskzoo.service.jobs.files import JobArrays, JobFiles


def test_an_array_that_left_memory_holds_what_was_written(tmp_path):
    files = JobFiles(tmp_path, free_bytes=0)
    (tmp_path / "work" / "a").mkdir()
    job = SimpleNamespace(id="a", worker="w")
    arrays = JobArrays(files, job)
    array = arrays.array("labels", (300, 400), np.uint8)
    wanted = np.random.default_rng(0).integers(0, 255, (300, 400), np.uint8)
    array[:] = wanted
    arrays.release(array)
    np.testing.assert_array_equal(array, wanted)
    arrays.release(wanted)  # in plain memory it stays as it is
    np.testing.assert_array_equal(array, wanted)
