"""The two kinds of process: `python -m maskzoo.service.fronts.run PART`.

PART is a `service.fronts.part.Part` as JSON; settings come from the environment, as for a single
process. Each process ends when its supervisor does: it then reads the end of a pipe that nobody
writes to.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from starlette.types import ASGIApp, Receive, Scope, Send

from maskzoo.models.errors import ZooError
from maskzoo.service.fronts.line import Listener
from maskzoo.service.fronts.page import Page, SharedBudget
from maskzoo.service.fronts.part import WRONG_INPUT, Part
from maskzoo.service.observability.logs import configure
from maskzoo.service.server import LAST_S, alive, end_on_signals, serve_http
from maskzoo.service.settings import Settings


def run_part(part: Part) -> None:
    """Run one process until it is told to end."""
    settings = Settings()
    configure(settings.log_level, settings.log_format)
    os.set_inheritable(part.life, False)  # not to the processes that decode
    page = Page(part.page, owners=len(part.devices), fronts=part.fronts)
    if part.kind == "owner":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # until the drain takes it over
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        asyncio.run(_own(part, settings, page))
        return
    end_on_signals()
    from maskzoo.service.fronts.front import Front  # each kind loads what it needs

    decided = {"image_threads": part.image_threads, "body_bytes": part.body_bytes}
    settings = settings.model_copy(update=decided)
    front = Front(settings, page, part.number, part.addresses)
    serve_http(_Watched(front, part.life), settings, socket.socket(fileno=part.listener))


async def _own(part: Part, settings: Settings, page: Page) -> None:
    """Own one device until all fronts have hung up, or the time is over."""
    from maskzoo.service.app import create_app  # with torch, which a front does without
    from maskzoo.service.fronts.owner import Owner
    from maskzoo.service.fronts.peers import SharedAdministration
    from maskzoo.service.fronts.remote import Lines

    lines = Lines(part.addresses, page)
    app = create_app(
        settings.model_copy(update={"device": part.devices[part.number]}),
        on_fault=faulthandler.enable,
        make_budget=partial(SharedBudget, page=page, process=part.fronts + part.number),
        make_admin=partial(
            SharedAdministration,
            number=part.number,
            lines=lines,
            folder=part.folder,
        ),
    )
    services = app.state.services
    admin: SharedAdministration = services.admin
    owner = Owner(app, page, part.number)
    async with alive(app), watched(part.life):
        serving = asyncio.create_task(owner.serve(Listener(part.addresses[part.number])))
        owner.publish()
        await admin.catch_up()
        await services.drain.started.wait()
        owner.publish()
        lines.close()  # or the other owners would wait for this one to hang up
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.shutdown_s + LAST_S):
                await owner.is_idle.wait()
        serving.cancel()
        await owner.hang_up()
    page.forget_owner(part.number)


class _Watched:
    """ASGI application that ends its process when the supervisor is gone."""

    def __init__(self, app: ASGIApp, life: int) -> None:
        self._app = app
        self._life = life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or all the time in which there are requests."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        async with watched(self._life):
            await self._app(scope, receive, send)


@asynccontextmanager
async def watched(life: int) -> AsyncIterator[None]:
    """End this process as by SIGTERM when nobody holds the other end of a pipe any more."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        loop.remove_reader(life)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(life, end)
    try:
        yield
    finally:
        loop.remove_reader(life)


if __name__ == "__main__":
    try:
        run_part(Part.model_validate_json(sys.argv[1]))
    except ZooError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(WRONG_INPUT)
