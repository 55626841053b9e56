"""The work of a job: from the image's file to the result's.

Label maps of huge images are arrays in files, written strip by strip, so memory holds a few rows
of tiles and not the image. What remains in memory at the end is what the format needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from maskzoo.service.answering.answer import answer_image
from maskzoo.service.answering.network import LocalNetwork
from maskzoo.service.answering.order import Order
from maskzoo.service.answering.segment import Workplace
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.errors import ModelLoadingError
from maskzoo.service.jobs.files import JobArrays, JobFiles
from maskzoo.service.jobs.progress import JobProgress
from maskzoo.service.jobs.records import JobRecord, JobResult
from maskzoo.service.observability.tracing import trace_stages
from maskzoo.service.responses.answer import Answer
from maskzoo.service.responses.formats import AnswerFormat, choose_format
from maskzoo.service.responses.timings import Timings
from maskzoo.service.scheduling.batcher import Batcher
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.scheduling.network import NetworkAccess

P = ParamSpec("P")
T = TypeVar("T")


class JobWorker:
    """Runs jobs, in its own pool of threads.

    Args:
        threads: jobs that run at the same time.
        limits: of the image of a job.
        decoder: of files that are not to be decoded in a thread; None decodes all there.
    """

    def __init__(
        self,
        manager: ModelManager,
        batcher: Batcher,
        *,
        threads: int,
        limits: CostLimits,
        decoder: Decoder | None = None,
    ) -> None:
        self._manager = manager
        self._batcher = batcher
        self._limits = limits
        self._decoder = decoder
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="job")

    async def work(self, job: JobRecord, files: JobFiles, progress: JobProgress) -> JobResult:
        """Write the result of a job; return its record.

        Raises:
            ZooError: the job fails.
            StoppedError: it was stopped.
        """
        answer_format = choose_format(job.accept, job.options)
        model = await self._load(job, progress)
        order = Order(
            model,
            job.options,
            answer_format,
            request_id=job.request_id,
            limits=self._limits,
            file_name=job.file_name,
        )
        access = NetworkAccess(
            self._batcher, asyncio.get_running_loop(), model, order.predict_options
        )
        progress.on_stop = access.stop
        timings = Timings()
        try:
            network = LocalNetwork(
                await self._in_thread(order.plan, job.info),
                access,
                self._in_thread,
                JobArrays(files, job),
                on_tile=progress.on_tile,
            )
            place = Workplace(network, self._in_thread, self._decoder, check=progress.check)
            answer = await answer_image(order, files.upload(job.id), job.info, place, timings)
            return await self._in_thread(_write, job, files, answer_format, answer, model.version)
        finally:
            progress.stop()
            trace_stages(timings, model=model.name, image=job.file_name)

    def close(self) -> None:
        """Cancel jobs that have not started; running ones end at their next tile."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _load(self, job: JobRecord, progress: JobProgress) -> LoadedModel:
        while True:
            try:
                return await self._manager.get(job.options.model)
            except ModelLoadingError:
                progress.check()

    def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))


def _write(
    job: JobRecord, files: JobFiles, answer_format: AnswerFormat, answer: Answer, version: str
) -> JobResult:
    with answer.timings.measure("encode"):
        body = answer_format.encode(answer, job.options)
        path = files.write_result(job, answer_format.suffix, body)
    return JobResult(
        file=path.name,
        media_type=answer_format.media_type.essence,
        num_bytes=len(body),
        model=answer.model,
        version=version,
        headers=answer.headers(),
    )
