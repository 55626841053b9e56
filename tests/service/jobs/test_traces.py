"""The trace of a process in the runner: begun with its first job, asked about the dead, removed."""

from __future__ import annotations

import asyncio
import os

from maskzoo.service.jobs.runner import Jobs
from maskzoo.service.jobs.sqlite import SqliteJobStore
from maskzoo.service.settings import Settings
from tests.service.headers import at
from tests.service.jobs.holding import Clock, Worker, accept, until


def runner_of(tmp_path) -> tuple[Jobs, Worker]:
    settings, worker = Settings(state_folder=tmp_path, job_free_bytes=0), Worker()
    return Jobs(settings, worker, clock=Clock(), on_fault=lambda file: None), worker


def traces_in(tmp_path) -> set[str]:
    return {path.name for path in (tmp_path / "jobs/traces").iterdir()}


def test_a_process_has_a_trace_while_it_works_on_jobs_and_none_after_its_end(tmp_path):
    async def main():
        jobs, worker = runner_of(tmp_path)
        await jobs.start()
        job = await accept(jobs)
        await worker.started.wait()
        holder = (await jobs.get(job.id, owner="")).worker
        assert traces_in(tmp_path) == {holder}
        worker.release.set()
        await jobs.close()
        assert traces_in(tmp_path) == set()

    asyncio.run(main())


def test_a_sweep_removes_old_traces_of_those_that_hold_no_job(tmp_path):
    async def main():
        jobs, worker = runner_of(tmp_path)
        await jobs.start()
        await accept(jobs)
        await worker.started.wait()
        (holder,) = traces_in(tmp_path)
        for name in ("gone", "lives"):
            (tmp_path / "jobs/traces" / name).write_text("")
        for name in ("gone", holder):
            os.utime(tmp_path / "jobs/traces" / name, (0, 0))
        await jobs.sweep()
        assert traces_in(tmp_path) == {holder, "lives"}
        worker.release.set()
        await jobs.close()

    asyncio.run(main())


def test_the_trace_of_the_dead_says_whether_a_death_counts_against_its_job(tmp_path):
    async def main():
        jobs, worker = runner_of(tmp_path)
        asked = []
        jobs._traces.tell_fault = lambda name: asked.append(name) or True
        await accept(jobs)
        store = SqliteJobStore(tmp_path / "jobs" / "jobs.sqlite")
        assert store.claim("dead", now=at(0), lease_s=1).id == "a"
        store.close()
        await jobs.start()
        await worker.started.wait()
        assert asked == ["dead"]

        async def is_taken_up():
            return (await jobs.get("a", owner="")).worker == jobs._name

        await until(is_taken_up)
        worker.release.set()
        await jobs.close()

    asyncio.run(main())
