"""The runner: room for new jobs, their expiry, and what they leave."""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from maskzoo.service.errors import DiskFullError, JobsOffError, OverloadedError, StoppedError
from tests.service.jobs.holding import JOB, accept, jobs_of, left_in, state_of, until


def test_an_upload_that_comes_in_is_no_orphan_when_the_clock_is_set_forward(tmp_path):
    async def main():
        jobs, _, _ = jobs_of(tmp_path)
        async with jobs.reserve(10) as place:
            place.upload.write_bytes(b"image")
            os.utime(place.upload, (0, 0))
            await jobs.sweep()
            assert place.upload.read_bytes() == b"image"
            await jobs.accept(JOB, place)
        assert await state_of(jobs) == "queued"
        await jobs.close()

    asyncio.run(main())


def test_a_result_is_kept_for_its_time_and_no_longer(tmp_path):
    async def main():
        jobs, worker, clock = jobs_of(tmp_path, job_keep_s=1000)
        worker.release.set()
        await jobs.start()
        await accept(jobs)

        async def is_done():
            return await state_of(jobs) == "done"

        await until(is_done)
        for later in (0, 999):
            clock.now = 1000 + later
            await jobs.sweep()
            assert await state_of(jobs) == "done"
            assert (tmp_path / "jobs/work/a/result.png").exists()
        clock.now = 2001
        await jobs.sweep()
        with pytest.raises(Exception, match="there is no job 'a'"):
            await state_of(jobs)
        assert left_in(tmp_path) == []
        await jobs.close()

    asyncio.run(main())


def test_places_are_reserved_before_the_upload_and_given_back(tmp_path):
    async def main():
        jobs, _, _ = jobs_of(tmp_path, max_jobs=3)
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(jobs.reserve(10))
            with pytest.raises(OverloadedError) as refused:
                await stack.enter_async_context(jobs.reserve(10))
            assert refused.value.retry_after_s >= 1
        for job_id in "abc":
            await accept(jobs, job_id)
        with pytest.raises(OverloadedError):
            await accept(jobs, "d")
        await jobs.close()

    asyncio.run(main())


def test_two_processes_on_a_folder_share_its_places(tmp_path):
    async def main():
        first, _, _ = jobs_of(tmp_path, max_jobs=1)
        second, _, _ = jobs_of(tmp_path, max_jobs=1)
        async with first.reserve(10) as place:
            place.upload.write_bytes(b"image")
            await accept(second, "b")  # its process does not know of the other's upload
            with pytest.raises(OverloadedError):
                await first.accept(replace(JOB, id="a"), place)
        assert left_in(tmp_path) == ["b"]
        await first.close()
        await second.close()

    asyncio.run(main())


def test_space_is_reserved_for_uploads_that_are_still_coming_in(tmp_path, monkeypatch):
    free = 1_000_000
    usage = type("Usage", (), {"free": property(lambda self: free)})()
    monkeypatch.setattr("maskzoo.service.jobs.files.shutil.disk_usage", lambda _: usage)

    async def main():
        jobs, _, _ = jobs_of(tmp_path, job_free_bytes=100_000)
        async with jobs.reserve(600_000):
            with pytest.raises(DiskFullError):
                async with jobs.reserve(300_001):
                    pass
            async with jobs.reserve(300_000):
                pass
        async with jobs.reserve(900_000) as place:  # what was given back is free again
            info = replace(JOB.info, width=600, height=300)  # 5 bytes a pixel: 900 000
            place.upload.write_bytes(b"")
            await jobs.grow(place, info)
            with pytest.raises(DiskFullError):
                await jobs.grow(place, replace(info, width=601))
            job = replace(JOB, info=replace(info, width=300))  # half of the space is this job's
            await jobs.accept(job, place)
        async with jobs.reserve(450_000):
            pass
        with pytest.raises(DiskFullError):
            async with jobs.reserve(450_001):
                pass
        await jobs.close()

    asyncio.run(main())


def test_what_has_come_of_an_upload_is_not_reserved_twice(tmp_path, monkeypatch):
    free = 1_000_000
    usage = type("Usage", (), {"free": property(lambda self: free)})()
    monkeypatch.setattr("maskzoo.service.jobs.files.shutil.disk_usage", lambda _: usage)

    async def main():
        nonlocal free
        jobs, _, _ = jobs_of(tmp_path, job_free_bytes=0)
        async with jobs.reserve(600_000) as place:
            place.upload.write_bytes(bytes(400_000))
            free = 600_000
            async with jobs.reserve(400_000):
                pass
            with pytest.raises(DiskFullError):
                async with jobs.reserve(400_001):
                    pass
        await jobs.close()

    asyncio.run(main())


def test_a_cancelled_job_is_stopped_at_once(tmp_path):
    async def main():
        jobs, worker, _ = jobs_of(tmp_path, job_lease_s=1000)
        await jobs.start()
        job = await accept(jobs)
        await worker.started.wait()
        progress = jobs._working["a"]
        await jobs.cancel(job)
        assert progress.is_stopped, "not only when the lease is renewed"
        await jobs.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EROFS, JobsOffError),
        (errno.ENOENT, JobsOffError),
        (errno.EACCES, JobsOffError),
    ],
)
def test_an_upload_that_cannot_be_written_is_refused_and_leaves_nothing(tmp_path, number, error):
    async def main():
        jobs, _, _ = jobs_of(tmp_path)

        async def upload():
            async with jobs.reserve(10) as place:
                place.upload.write_bytes(b"ima")
                raise OSError(number, os.strerror(number))

        with pytest.raises(error):
            await upload()
        assert left_in(tmp_path) == []
        await accept(jobs)
        await jobs.close()

    asyncio.run(main())


def test_a_job_that_the_store_refuses_leaves_no_file(tmp_path):
    async def main():
        jobs, _, _ = jobs_of(tmp_path)
        async with jobs.reserve(10) as place:
            place.upload.write_bytes(b"image")
            with pytest.raises(UnicodeEncodeError):
                await jobs.accept(replace(JOB, file_name="\ud800"), place)
        assert left_in(tmp_path) == []
        await jobs.close()

    asyncio.run(main())


@pytest.mark.parametrize(("threads", "seconds"), [(1, 10), (2, 5)])
def test_the_time_to_retry_follows_how_long_jobs_took(tmp_path, threads, seconds):
    async def main():
        jobs, worker, _ = jobs_of(tmp_path, max_jobs=1, job_threads=threads)
        worker.release.set()
        await jobs.start()
        for job_id in "abc":  # of no time at all: 30 s are weighed by 0.7 three times
            await accept(jobs, job_id)

            async def has_ended(job_id=job_id):
                return await state_of(jobs, job_id) == "done" and not jobs._working

            await until(has_ended)
        async with jobs.reserve(10):
            with pytest.raises(OverloadedError) as refused:
                async with jobs.reserve(10):
                    pass
        assert refused.value.retry_after_s == seconds
        await jobs.close()

    asyncio.run(main())


def test_a_runner_that_stops_takes_no_job(tmp_path):
    async def main():
        jobs, _, _ = jobs_of(tmp_path)
        await jobs.start()
        jobs.stop()
        with pytest.raises(StoppedError, match="send the job again"):
            await accept(jobs)
        await jobs.close()

    asyncio.run(main())


def test_a_job_that_was_accepted_takes_one_place_and_not_its_uploads_too(tmp_path):
    async def main():
        jobs, _, _ = jobs_of(tmp_path, max_jobs=2)
        async with jobs.reserve(10) as place:
            place.upload.write_bytes(b"image")
            await jobs.accept(JOB, place)
            async with jobs.reserve(10):
                pass
        await jobs.close()

    asyncio.run(main())


def test_what_the_work_will_take_is_kept_from_others_beside_the_upload(tmp_path, monkeypatch):
    free = 1_000_000
    usage = type("Usage", (), {"free": property(lambda self: free)})()
    monkeypatch.setattr("maskzoo.service.jobs.files.shutil.disk_usage", lambda _: usage)

    async def main():
        jobs, _, _ = jobs_of(tmp_path, job_free_bytes=0)
        async with jobs.reserve(100) as place:
            place.upload.write_bytes(bytes(400_000))  # on the disk: it is no longer free space
            await jobs.grow(place, replace(JOB.info, width=400, height=300))  # 600 000 bytes
            async with jobs.reserve(400_000):
                pass
            with pytest.raises(DiskFullError):
                async with jobs.reserve(400_001):
                    pass
        await jobs.close()

    asyncio.run(main())


def test_a_client_that_leaves_is_no_fault_of_the_folder(tmp_path, caplog):
    async def main():
        jobs, _, _ = jobs_of(tmp_path)
        for error in (ConnectionResetError(errno.ECONNRESET, "gone"), TimeoutError(110, "late")):
            with pytest.raises(type(error)):
                async with jobs.reserve(10):
                    raise error
        await jobs.close()

    asyncio.run(main())
    assert "jobs_off" not in caplog.text


def test_who_is_refused_waits_a_second_at_least_however_fast_jobs_are(tmp_path):
    async def main():
        jobs, _, _ = jobs_of(tmp_path, max_jobs=1)
        jobs._seconds_per_job = 0.01
        async with jobs.reserve(10):
            with pytest.raises(OverloadedError) as refused:
                async with jobs.reserve(10):
                    pass
        assert refused.value.retry_after_s == 1
        await jobs.close()

    asyncio.run(main())


def test_who_watches_a_job_is_told_of_changes_and_of_nothing_else(tmp_path):
    async def main():
        jobs, _, _ = jobs_of(tmp_path)
        job = await accept(jobs)
        get, seen, polls = jobs.get, [], 0

        async def count(*given, **named):
            nonlocal polls
            polls += 1
            return await get(*given, **named)

        jobs.get = count

        async def watch():
            async for one in jobs.watch("a", owner="", every_s=0.001):
                seen.append(one.state)

        async def is_polled():
            return polls >= 5

        watching = asyncio.create_task(watch())
        await until(is_polled)
        assert seen == ["queued"]
        await jobs.cancel(job)
        await asyncio.wait_for(watching, 60)
        assert seen == ["queued", "cancelled"]
        await jobs.close()

    asyncio.run(main())
