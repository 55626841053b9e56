"""The document of a job, as clients read it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from maskzoo.service.jobs.documents import describe_job


def test_a_job_that_waits_has_no_result_and_no_end(job):
    document = describe_job(job, keep_s=60)
    assert (document.state, document.progress, document.tiles) == ("queued", 0, 0)
    assert (document.width, document.height) == (3, 2)
    assert document.options == {"mode": "tiled", "masks": "rle"}, "what was asked for, no more"
    assert document.created == datetime(1970, 1, 1, 0, 0, 10, 500_000, tzinfo=UTC)
    assert document.events == "/jobs/a/events"
    assert document.expires is document.result is document.result_bytes is None


def test_a_job_that_is_done_says_where_its_result_is_and_how_long(job, result):
    done = replace(job, state="done", finished=100, done=3, total=4, result=result)
    document = describe_job(done, keep_s=60)
    assert (document.progress, document.tiles_done, document.tiles) == (1, 3, 4)
    assert (document.result, document.result_bytes) == ("/jobs/a/result", 7)
    assert document.expires == datetime(1970, 1, 1, 0, 2, 40, tzinfo=UTC)


def test_a_job_that_failed_shows_its_problem(job):
    document = describe_job(replace(job, state="failed", error={"status": 507}), keep_s=60)
    assert document.error == {"status": 507}
    assert document.result is None
