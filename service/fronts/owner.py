"""The owner's end: it has the models, admits images and runs the networks for all fronts.

A line carries one conversation after the other. One about an image lasts from its admission until
its answer is written; what the image holds is let go when the front says so, or hangs up.

    {do: get, name}                           ->  {key, name, version}
    {do: describe, key}                       ->  {}, the bundle's record in shared memory
    {do: rate, client}                        ->  {}
    {do: change, step, change}                ->  {state, reason}; see `service.fronts.peers`
    {do: vote, path, fingerprint}             ->  {state, reason}
    {do: admit, key, options, header, …}      ->  {}
        {do: segment, layout, info}, pixels   ->  {mode, stages, layout}, arrays
        {do: done}
    {do: forward, scope}                      see `service.fronts.forward`
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from fastapi import FastAPI

from maskzoo.models.errors import ZooError
from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.images.rows import ArrayRows, OpenedImage
from maskzoo.service.answering.order import AnswerLimit, Order
from maskzoo.service.bundles.administration import Change
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.decoding.shared import attach, layout_of, share
from maskzoo.service.errors import ModelLoadingError
from maskzoo.service.fronts.faults import describe_fault
from maskzoo.service.fronts.forward import answer_forwarded
from maskzoo.service.fronts.line import Line, LineClosedError, Listener, Message
from maskzoo.service.observability.logs import request_id as logged_request_id
from maskzoo.service.observability.tracing import continue_trace, trace_stages
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.responses.timings import Timings
from maskzoo.service.scheduling.cost import CostLimits
from maskzoo.service.schemas import SegmentOptions

if TYPE_CHECKING:
    from maskzoo.service.answering.segment import NetworkPart
    from maskzoo.service.bundles.segmenter import Segmenter
    from maskzoo.service.fronts.page import Page
    from maskzoo.service.state import Services

logger = logging.getLogger(__name__)

_HELD_S = 10.0
_INLINE_BYTES = 2**20  # fewer are copied faster than a thread is woken


class HeldModels:
    """The models that fronts were told of: a request keeps the one that it started with.

    Between the request's first question and its admission a model may be replaced; it is held for
    ten seconds, so that the request finds it again by its key.
    """

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(4)  # of this process: no other knows its keys
        self._numbers: WeakKeyDictionary[Segmenter, str] = WeakKeyDictionary()
        self._held: dict[str, tuple[LoadedModel, float]] = {}

    def hold(self, model: LoadedModel) -> str:
        """Hold a model from now on; return its key."""
        number = self._numbers.setdefault(model.predictor, secrets.token_hex(4))
        key = f"{self._prefix}-{number} {model.name}@{model.version}"
        self._held[key] = model, time.monotonic()
        return key

    def find(self, key: str, name: str) -> LoadedModel:
        """Return the model of a key.

        Raises:
            ModelLoadingError: it is no longer there.
        """
        if key not in self._held:
            raise ModelLoadingError(name, retry_after_s=1)
        return self._held[key][0]

    def release(self) -> None:
        """Let go of models that nobody has asked for lately."""
        before = time.monotonic() - _HELD_S
        self._held = {key: held for key, held in self._held.items() if held[1] > before}


class Owner:
    """Answers fronts.

    Args:
        app: the application of this process.
        page: where the state of its admission is noted.
        number: of this owner.
    """

    def __init__(self, app: FastAPI, page: Page, number: int) -> None:
        self._app = app
        self._services: Services = app.state.services
        self._page = page
        self._number = number
        self._limits = CostLimits.of(self._services.settings)
        self._models = HeldModels()
        self._talks: set[asyncio.Task[None]] = set()
        self.is_idle = asyncio.Event()
        self.is_idle.set()

    async def serve(self, listener: Listener) -> None:
        """Take lines until cancelled."""
        caring = asyncio.create_task(self._care())
        try:
            while True:
                line = await listener.accept()
                talk = asyncio.create_task(self._talk(line))
                self._talks.add(talk)
                self.is_idle.clear()
                talk.add_done_callback(self._end)
        finally:
            caring.cancel()
            listener.close()

    async def hang_up(self) -> None:
        """End all conversations."""
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def publish(self) -> None:
        """Note the state of the admission for the fronts."""
        self._page.publish(self._number, self._services.admission)

    def _end(self, talk: asyncio.Task[None]) -> None:
        self._talks.discard(talk)
        if not self._talks:
            self.is_idle.set()

    async def _care(self) -> None:
        while True:
            self._models.release()
            self.publish()  # the end of the service changes it too
            await asyncio.sleep(1)

    async def _talk(self, line: Line) -> None:
        """Hold the conversations of one line until the front hangs up."""
        try:
            while True:
                facts = (await line.receive()).facts
                if facts["do"] == "forward":
                    await answer_forwarded(self._app, line, facts["scope"])
                    return
                try:
                    await self._answer(line, facts)
                except LineClosedError:
                    return
                except Exception as error:
                    if not isinstance(error, ZooError):
                        logger.exception("event=crash request_id=%s", logged_request_id.get())
                    await line.send(describe_fault(error))
        except LineClosedError:
            return
        except Exception:
            logger.exception("event=line_crash")
        finally:
            line.close()

    async def _answer(self, line: Line, facts: Mapping[str, Any]) -> None:
        """Hold one conversation."""
        services = self._services
        match facts["do"]:
            case "get":
                model = await services.manager.get(facts["name"])
                key = self._models.hold(model)
                await line.send({"key": key, "name": model.name, "version": model.version})
            case "describe":
                record = self._models.find(facts["key"], facts["name"]).manifest.model_dump_json()
                await _send_arrays(line, {}, [np.frombuffer(record.encode(), np.uint8)])
            case "rate":
                assert services.rates is not None, "a front asks where there are limits"
                await services.rates.admit(facts["client"])
                await line.send({})
            case "vote":
                admin = self._services.admin
                vote = admin.vote(Path(facts["path"]), facts["fingerprint"])
                await line.send(asdict(vote))
            case "change":
                await self._change(line, facts)
            case "admit":
                device = self._services.metrics.device
                with continue_trace(
                    facts["trace"], "owner", {"maskzoo.device": device}, kind="SERVER"
                ):
                    await self._admit(line, facts)
            case question:
                raise ValueError(f"a front asked {question!r}")

    async def _change(self, line: Line, facts: Mapping[str, Any]) -> None:
        """Check a change of the operator's for another owner, or make it."""
        admin, change = self._services.admin, Change.model_validate(facts["change"])
        if facts["step"] == "check":
            admin.check(change)
            await line.send({})
        else:
            await line.send(asdict(await admin.apply(change)))

    async def _admit(self, line: Line, facts: Mapping[str, Any]) -> None:
        """Hold the room of an image while its front works on it."""
        logged_request_id.set(facts["request_id"])
        order, header = self._order(facts), ImageInfo(**facts["header"])
        desk = self._services.answerer.desk
        try:
            async with desk.admitted(order, header, body_bytes=facts["body_bytes"]) as network:
                self.publish()
                await line.send({})
                while (asked := await line.receive()).facts["do"] == "segment":
                    await _until_hung_up(line, self._segment(line, asked, order, network))
        finally:
            self.publish()

    def _order(self, facts: Mapping[str, Any]) -> Order:
        limit = facts["answer_limit"]
        return Order(
            self._models.find(facts["key"], facts["name"]),
            SegmentOptions.model_validate(facts["options"]),
            AnswerNeeds(**facts["needs"]),
            request_id=facts["request_id"],
            limits=self._limits,
            file_name=facts["file_name"],
            answer_limit=None if limit is None else AnswerLimit(**limit),
            deadline=facts["deadline"],
        )

    async def _segment(
        self, line: Line, asked: Message, order: Order, network: NetworkPart
    ) -> None:
        """Run the network on the pixels that a front has sent."""
        try:
            (pixels,) = attach(asked.descriptors[0], asked.facts["layout"])
        finally:
            asked.close()
        timings = Timings()
        image = OpenedImage(ArrayRows(pixels), ImageInfo(**asked.facts["info"]))
        found = await network.segment(order, network.read(order, image), timings)
        trace_stages(timings, model=order.model.name, image=order.file_name)
        arrays = [found.label_map, found.confidence, found.probabilities]
        facts = {
            "mode": found.mode,
            "stages": list(timings.seconds.items()),
            "has": [array is not None for array in arrays],
        }
        await _send_arrays(line, facts, [array for array in arrays if array is not None])


async def _send_arrays(line: Line, facts: Mapping[str, Any], arrays: list[np.ndarray]) -> None:
    """Send arrays in shared memory; a thread copies large ones."""
    if sum(array.nbytes for array in arrays) < _INLINE_BYTES:
        descriptor = share(arrays)
    else:
        descriptor = await asyncio.to_thread(share, arrays)
    try:
        await line.send({**facts, "layout": layout_of(arrays)}, descriptors=[descriptor])
    finally:
        os.close(descriptor)


async def _until_hung_up(line: Line, work: Coroutine[Any, Any, None]) -> None:
    """Do work for a front that says nothing meanwhile; cancel it when the front hangs up.

    Raises:
        LineClosedError: it did.
    """
    working = asyncio.ensure_future(work)
    hearing = asyncio.ensure_future(line.hung_up())
    try:
        await asyncio.wait({working, hearing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise LineClosedError("the front has hung up")
        working.result()
    finally:
        for task in (working, hearing):
            task.cancel()
        await asyncio.gather(working, hearing, return_exceptions=True)
