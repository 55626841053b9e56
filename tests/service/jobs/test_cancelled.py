"""A job that is cancelled loses its files while it is worked on; that is no fault to log."""

from __future__ import annotations

import asyncio

import pytest

from tests.service.jobs.holding import accept, jobs_of, state_of


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_work_that_finds_its_files_gone_is_a_fault_unless_its_job_was_cancelled(
    tmp_path, caplog, is_cancelled
):
    async def main():
        jobs, worker, _ = jobs_of(tmp_path)

        async def work(job, files, progress):
            worker.started.set()
            await worker.release.wait()
            raise FileNotFoundError("label_map")

        worker.work = work
        await jobs.start()
        await accept(jobs)
        await worker.started.wait()
        if is_cancelled:
            await jobs.cancel(await jobs.get("a", owner=""))
        worker.release.set()
        async with asyncio.timeout(60):
            while jobs._working or await state_of(jobs) == "running":
                await asyncio.sleep(0.005)
        assert await state_of(jobs) == ("cancelled" if is_cancelled else "failed")
        await jobs.close()

    asyncio.run(main())
    assert ("event=job_failed job=a" in caplog.text) is not is_cancelled
