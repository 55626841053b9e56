"""The runner: leases of jobs, and whose a job is when its worker is gone."""

from __future__ import annotations

import asyncio

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
