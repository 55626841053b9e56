"""The runner: leases of jobs, and whose a job is when its worker is gone."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3

import pytest

from maskzoo.service.jobs.sqlite import SqliteJobStore
from tests.service.headers import at
from tests.service.jobs.holding import accept, jobs_of, state_of, until


def test_the_lease_is_renewed_while_a_job_is_worked_on(tmp_path):
    async def main():
        jobs, worker, clock = jobs_of(tmp_path, job_lease_s=0.3)
        await jobs.start()
        await accept(jobs)
        await worker.started.wait()
        other = SqliteJobStore(tmp_path / "jobs" / "jobs.sqlite")
        for _ in range(5):  # each step is less than the lease, all of them are more
            clock.now += 0.25

            async def is_renewed():
                return (await jobs.get("a", owner="")).lease == pytest.approx(clock.now + 0.3)

            await until(is_renewed)
            assert other.claim("thief", now=at(clock.now), lease_s=10) is None
        worker.release.set()

        async def is_done():
            return await state_of(jobs) == "done"

        await until(is_done)
        assert (await jobs.get("a", owner="")).attempts == 1
        other.close()
        await jobs.close()

    asyncio.run(main())


def test_a_job_whose_lease_was_taken_is_stopped_and_ends_nothing(tmp_path):
    async def main():
        jobs, worker, clock = jobs_of(tmp_path, job_lease_s=0.05)
        await jobs.start()
        await accept(jobs)
        await worker.started.wait()
        other = SqliteJobStore(tmp_path / "jobs" / "jobs.sqlite")
        assert other.claim("thief", now=at(clock.now + 100), lease_s=1000).worker == "thief"

        async def is_stopped():
            return worker.stopped == ["a"]

        await until(is_stopped)
        job = other.get("a")
        assert (job.state, job.worker, job.result, job.attempts) == ("running", "thief", None, 2)
        assert [path.name for path in (tmp_path / "jobs/work/a").iterdir()] == ["upload"]
        other.close()
        await jobs.close()

    asyncio.run(main())


def test_a_process_that_stalled_does_not_take_its_own_jobs_up_a_second_time(tmp_path):
    """Two works on one job would share its files, and the second would cut the first one's off."""

    async def main():
        jobs, worker, clock = jobs_of(tmp_path, job_threads=2, job_lease_s=1000)
        begun, work = [], worker.work

        async def count(job, files, progress):
            begun.append(job.id)
            return await work(job, files, progress)

        worker.work = count
        await jobs.start()
        await accept(jobs, "a")
        await worker.started.wait()
        clock.now += 2000  # its lease is over before the process gets to renew it
        await accept(jobs, "b")  # wakes the second thread

        async def is_another_begun():
            return len(begun) > 1

        await until(is_another_begun)
        assert begun == ["a", "b"]
        worker.release.set()

        async def are_done():
            return [await state_of(jobs, name) for name in "ab"] == ["done", "done"]

        await until(are_done)
        assert (await jobs.get("a", owner="")).attempts == 1
        await jobs.close()

    asyncio.run(main())


def test_a_job_whose_end_could_not_be_recorded_is_taken_up_again(tmp_path, monkeypatch):
    async def main():
        jobs, worker, clock = jobs_of(tmp_path)
        worker.release.set()
        finish, failed = SqliteJobStore.finish, []

        def fail_once(*given, **named):
            if not failed:
                failed.append("a")
                raise sqlite3.OperationalError("disk I/O error")
            return finish(*given, **named)

        monkeypatch.setattr(SqliteJobStore, "finish", fail_once)
        await jobs.start()
        await accept(jobs)

        async def has_failed():
            return bool(failed)

        await until(has_failed)
        clock.now += 100

        async def is_done():
            return await state_of(jobs) == "done"

        await until(is_done)
        assert (await jobs.get("a", owner="")).attempts == 2
        await jobs.close()

    asyncio.run(main())


def test_a_job_whose_folder_was_deleted_is_stopped(tmp_path):
    async def main():
        jobs, worker, _ = jobs_of(tmp_path, job_lease_s=0.05)
        await jobs.start()
        await accept(jobs)
        await worker.started.wait()
        await jobs._in_thread(shutil.rmtree, tmp_path / "jobs")

        async def is_stopped():
            return worker.stopped == ["a"]

        await until(is_stopped)
        await jobs.close()

    asyncio.run(main())


def test_a_job_goes_on_while_its_folder_is_away_for_less_than_its_lease(tmp_path, monkeypatch):
    async def main():
        jobs, worker, _ = jobs_of(tmp_path, job_lease_s=0.05)
        renew, failed = SqliteJobStore.renew, []

        def fail_at_first(*given, **named):
            if len(failed) < 3:
                failed.append("a")
                raise sqlite3.OperationalError("disk I/O error")
            return renew(*given, **named)

        monkeypatch.setattr(SqliteJobStore, "renew", fail_at_first)
        await jobs.start()
        await accept(jobs)

        async def is_back():
            return len(failed) == 3

        await until(is_back)
        worker.release.set()

        async def is_done():
            return await state_of(jobs) == "done"

        await until(is_done)
        assert worker.stopped == []
        await jobs.close()

    asyncio.run(main())


@pytest.mark.parametrize("jump", [-1e6, 1e6])
def test_a_clock_that_jumps_neither_takes_a_job_away_nor_keeps_it(tmp_path, jump):
    async def main():
        jobs, worker, clock = jobs_of(tmp_path, job_lease_s=10)
        other, idle, _ = jobs_of(tmp_path)
        other._clock = clock
        await jobs.start()
        await accept(jobs)
        await worker.started.wait()
        clock.jumped = jump
        await other.start()
        await jobs.sweep()
        await asyncio.sleep(0)
        store = SqliteJobStore(tmp_path / "jobs" / "jobs.sqlite")
        assert store.claim("thief", now=clock(), lease_s=10) is None, "it is held"
        clock.now += 10.1
        assert store.claim("thief", now=clock(), lease_s=10).id == "a", "its holder is dead"
        assert not idle.started.is_set()
        store.close()
        await jobs.close()
        await other.close()

    asyncio.run(main())


def test_a_lease_is_renewed_five_times_before_it_ends(tmp_path, monkeypatch):
    waited, sleep = [], asyncio.sleep

    async def note(seconds, *rest):
        waited.append(seconds)
        await sleep(min(seconds, 0.02), *rest)

    async def main():
        monkeypatch.setattr(asyncio, "sleep", note)
        for lease_s, expected in ((10, 1.0), (2, 0.4)):
            waited.clear()
            jobs, worker, _ = jobs_of(tmp_path / str(lease_s), job_lease_s=lease_s)
            await jobs.start()
            await accept(jobs)
            await worker.started.wait()
            while not any(0.01 < seconds < 20 for seconds in waited):
                await sleep(0.005)
            assert {seconds for seconds in waited if 0.01 < seconds < 20} == {expected}
            await jobs.close()

    asyncio.run(main())


def test_a_job_whose_lease_ran_out_is_taken_up_on_a_full_disk_too(small_disk, fill):
    async def main():
        jobs, worker, _ = jobs_of(small_disk)
        await accept(jobs)
        await jobs.close()
        store = SqliteJobStore(small_disk / "jobs" / "jobs.sqlite")
        store.claim("killed", now=at(1), lease_s=1)
        store.close()
        fill(small_disk / "full")
        jobs, worker, _ = jobs_of(small_disk)
        worker.release.set()
        await jobs.start()

        async def has_ended():
            return await state_of(jobs) in ("done", "failed")

        await until(has_ended)
        await jobs.close()

    asyncio.run(main())
