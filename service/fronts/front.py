"""The application of a front: the same as a single process has, with parts that ask the owner.

A request passes one set of guards, in the process that answers it: routes of images, pages and the
sign of life here, all others at the owner.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from maskzoo.models.errors import ZooError
from maskzoo.service.answering.answerer import Answerer
from maskzoo.service.assembly import build_app, most_of_bodies, routers_of
from maskzoo.service.decoding.pool import Decoder
from maskzoo.service.errors import OwnerGoneError
from maskzoo.service.fronts.forward import Forwarder
from maskzoo.service.fronts.line import Line
from maskzoo.service.fronts.page import Page, SharedBudget
from maskzoo.service.fronts.remote import Lines, RemoteDesk, RemoteModels, RemoteRates, SharedDoor
from maskzoo.service.guards.bodies import takes_images
from maskzoo.service.guards.security import RequestGuard
from maskzoo.service.observability.metrics import Metrics
from maskzoo.service.problems import problem_of
from maskzoo.service.scheduling.draining import Drain
from maskzoo.service.scheduling.heap import keep_small, limit_arenas
from maskzoo.service.scheduling.workers import Workers
from maskzoo.service.settings import Settings
from maskzoo.service.state import ImageServices

_HERE = ("/", "/docs", "/docs/problems.json", "/openapi.json", "/healthz", "/v2/health/live")
_HERE_BELOW = "/web/"


class Front:
    """ASGI application of one front.

    Args:
        settings: with the values that the machine decides.
        page: the shared numbers.
        number: of this front.
        addresses: of the owners.
    """

    def __init__(
        self, settings: Settings, page: Page, number: int, addresses: Sequence[Path]
    ) -> None:
        self.lines = Lines(addresses, page)
        self.services = _services(settings, self.lines, number)
        routers: list[APIRouter] = routers_of(settings)
        self.app: FastAPI = build_app(
            self.services, routers, partial(_lifespan, self.services, self.lines)
        )
        self._forwarder = Forwarder(self._connect)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, here or at the owner."""
        if scope["type"] != "http" or is_answered_here(scope["method"], scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            await self._forwarder(scope, receive, send)
        except OwnerGoneError as error:
            refuse = RequestGuard(_Refusal(error), observe=self.services.metrics.request)
            await refuse(scope, receive, send)

    def _connect(self) -> Line:
        """Return a line to the first owner that runs, or else to the first one."""
        page = self.lines.page
        running = (number for number in range(page.owners) if page.runs(number))
        return self.lines.connect(next(running, 0))


class _Refusal:
    """ASGI application that answers everything by one problem document."""

    def __init__(self, error: ZooError) -> None:
        self._problem = problem_of(error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer: ASGIApp = self._problem.response(
            path=scope["path"], request_id=scope["state"]["request_id"]
        )
        await answer(scope, receive, send)


def is_answered_here(method: str, path: str) -> bool:
    """Tell whether a front answers a request itself."""
    if method == "POST":
        return takes_images(path)
    return method == "OPTIONS" or path in _HERE or path.startswith(_HERE_BELOW)


def _services(settings: Settings, lines: Lines, number: int) -> ImageServices:
    page, metrics = lines.page, Metrics()
    threads = max(1, math.ceil(settings.image_threads / page.fronts))
    workers = Workers(image_threads=threads, network_threads=1)
    decoder = Decoder(threads, limit_s=settings.decode_s)
    door = SharedDoor(page)

    async def stop_work() -> None:
        decoder.close()
        lines.close()

    return ImageServices(
        settings=settings,
        manager=RemoteModels(lines),
        workers=workers,
        decoder=decoder,
        admission=door,
        answerer=Answerer(workers, RemoteDesk(lines), metrics, settings.job_max_pixels, decoder),
        drain=Drain(settings.shutdown_s, door.close, stop_work, leave_s=settings.leave_s),
        rates=None if settings.rate_limit is None else RemoteRates(lines),
        bodies=SharedBudget("bodies", most_of_bodies(settings), page=page, process=number),
        answers=SharedBudget("answers", settings.answer_bytes, page=page, process=number),
        metrics=metrics,
    )


@asynccontextmanager
async def _lifespan(services: ImageServices, lines: Lines, _: FastAPI) -> AsyncIterator[None]:
    limit_arenas()  # before the threads of requests begin
    trimming = asyncio.create_task(keep_small())
    with services.drain.on_signals():
        yield
    services.drain.close()
    trimming.cancel()
    lines.close()
    services.decoder.close()
    services.workers.close()
    services.metrics.close()
