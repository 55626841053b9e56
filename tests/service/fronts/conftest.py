"""An owner in a thread of its own, and fronts before it, all with the model of `tests.service`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from maskzoo.models.machine import Machine
from maskzoo.service.app import create_app
from maskzoo.service.fronts.front import Front
from maskzoo.service.fronts.line import Listener
from maskzoo.service.fronts.owner import Owner
from maskzoo.service.fronts.page import Page, SharedBudget
from maskzoo.service.fronts.peers import SharedAdministration
from maskzoo.service.fronts.remote import Lines
from maskzoo.service.machine import decide
from maskzoo.service.settings import Settings
from tests.service.listening import listening


class House:
    """Owners in threads, and as many fronts as a test wants.

    Args:
        make_models: one function for each owner, which returns the model of a bundle's folder.
    """

    def __init__(self, folder: Path, stack: ExitStack, settings: Settings, make_models) -> None:
        self.settings, self.folder = settings, folder
        self.page = Page.create(owners=len(make_models), fronts=4)
        self.addresses = [folder / f"o{number}" for number in range(len(make_models))]
        self._stack = stack
        self.owners = [
            stack.enter_context(self.owning(number, make))
            for number, make in enumerate(make_models)
        ]

    @contextmanager
    def owning(self, number: int, make_model) -> Iterator[SimpleNamespace]:
        """Run one owner: `owner`, `services`, `loop`, `end()`."""
        lines = Lines(self.addresses, self.page)
        app = create_app(
            self.settings,
            load_model=make_model,
            make_budget=partial(SharedBudget, page=self.page, process=4 + number),
            make_admin=partial(
                SharedAdministration,
                number=number,
                lines=lines,
                folder=self.folder,
            ),
        )
        found = SimpleNamespace(services=app.state.services)
        is_up = threading.Event()

        async def live() -> None:
            found.loop, found.over = asyncio.get_running_loop(), asyncio.Event()
            async with app.router.lifespan_context(app):
                found.owner = Owner(app, self.page, number)
                serving = asyncio.create_task(found.owner.serve(Listener(self.addresses[number])))
                found.owner.publish()
                await found.services.admin.catch_up()
                while not found.services.manager.is_ready() or not self.page.runs(number):
                    await asyncio.sleep(0.005)
                is_up.set()
                await found.over.wait()
                lines.close()
                serving.cancel()
                await found.owner.hang_up()
            self.page.forget_owner(number)

        thread = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)

        def end() -> None:
            if thread.is_alive():
                found.loop.call_soon_threadsafe(found.over.set)
                thread.join(30)

        found.end = end
        thread.start()
        assert is_up.wait(60), "the owner did not start"
        yield found
        end()

    def front(self, number: int = 0) -> TestClient:
        """Return a client of a new front."""
        decided = decide(self.settings, Machine(cores=2))
        front = Front(decided, self.page, number, self.addresses)
        return self._stack.enter_context(TestClient(front))


StartHouse = Callable[..., House]


@pytest.fixture
def house(bundles: Path, tmp_path: Path, tmp_path_factory) -> Iterator[StartHouse]:
    """`house(model, …, **settings)`: owners, one for each model; `house(…).front()` is a client."""
    with ExitStack() as stack:

        def begin(*models: object, **settings: object) -> House:
            known = {
                "bundles": (bundles,),
                "shipped_bundles": False,
                "state_folder": tmp_path / "state",
                "job_free_bytes": 0,
                **settings,
            }
            make_models = [(lambda _, model=model: model) for model in models]
            folder = tmp_path_factory.mktemp("s")
            return House(folder, stack, Settings(**known), make_models)

        yield begin


@pytest.fixture
def live() -> Iterator[Callable[[House], str]]:
    """`live(house)`: the address of a front that listens, so that its clients can leave."""

    def begin(there: House) -> str:
        decided = decide(there.settings, Machine(cores=2))
        front = Front(decided, there.page, 0, there.addresses)
        return stack.enter_context(listening(front))

    with ExitStack() as stack:
        yield begin
