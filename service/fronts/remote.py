"""The front's end: models, admission, networks and rates as a front has them, by asking the owner.

Each stands for the part of a single process that has the same methods, so routes see no difference.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from maskzoo.models.bundles.manifest import Manifest
from maskzoo.models.images.decode import ImageInfo
from maskzoo.models.images.rows import OpenedImage
from maskzoo.models.inference.segmentation import Segmentation
from maskzoo.service.answering.order import Order
from maskzoo.service.answering.segment import OpenImage
from maskzoo.service.bundles.entries import LoadedModel
from maskzoo.service.decoding.shared import attach, layout_of, share
from maskzoo.service.errors import OwnerGoneError, StoppedError
from maskzoo.service.fronts.faults import fault_in
from maskzoo.service.fronts.line import Line, LineClosedError, Message
from maskzoo.service.fronts.page import Page
from maskzoo.service.observability.tracing import carry_trace
from maskzoo.service.responses.answer import AnswerNeeds
from maskzoo.service.responses.timings import Timings

if TYPE_CHECKING:
    from maskzoo.service.bundles.segmenter import Segmenter

_MOST_RECORDS = 64  # of models; a front asks again for others
_NEEDS = tuple(AnswerNeeds.__dataclass_fields__)


class Lines:
    """The lines of one front to all owners; those that rest are used again.

    Args:
        addresses: of the owners, in the order of their numbers.
        page: where their states are.
    """

    def __init__(self, addresses: Sequence[Path], page: Page) -> None:
        self.page = page
        self._addresses = addresses
        self._resting: list[list[Line]] = [[] for _ in addresses]
        self._used: set[Line] = set()
        self._is_closed = False

    def connect(self, owner: int = 0) -> Line:
        """Return a new line, which the caller closes.

        Raises:
            LineClosedError: the owner is not there.
        """
        return Line.connect(self._addresses[owner])

    @asynccontextmanager
    async def talk(self, owner: int) -> AsyncIterator[Talk]:
        """Hold a line for one conversation.

        Raises:
            OwnerGoneError: the owner is not there, or ended during the conversation.
            StoppedError: `close` was called.
        """
        line = self._take(owner)
        talk = Talk(line)
        try:
            yield talk
        except LineClosedError:
            talk.is_over = False
            if self._is_closed:
                raise StoppedError("the service is stopping; send the request again") from None
            raise OwnerGoneError() from None
        finally:
            self._used.discard(line)
            if talk.is_over and not self._is_closed:
                self._resting[owner].append(line)
            else:
                line.close()

    async def ask(self, owner: int, facts: Mapping[str, Any]) -> Message:
        """Return the answer to one question.

        Raises:
            Exception: what the owner raised.
        """
        async with self.talk(owner) as talk:
            answer = await talk.ask(facts)
            talk.is_over = True
            return answer

    def close(self) -> None:
        """Hang up on all owners; who waits for one gets a StoppedError."""
        self._is_closed = True
        for line in self._used:
            line.hang_up()  # whoever uses it closes it
        for resting in self._resting:
            while resting:
                resting.pop().close()

    def _take(self, owner: int) -> Line:
        if self._is_closed:
            raise StoppedError("the service is stopping; send the request again")
        resting = self._resting[owner]
        while resting:
            line = resting.pop()
            if line.is_silent:
                break
            line.close()  # to an owner that has ended
        else:
            try:
                line = self.connect(owner)
            except LineClosedError:
                raise OwnerGoneError() from None
        self._used.add(line)
        return line


class Talk:
    """One conversation.

    Attributes:
        is_over: whether the owner waits for the next one; else the line is closed at the end,
            and with it goes what the conversation held.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self.is_over = False

    async def ask(self, facts: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Message:
        """Ask, and return the answer.

        Raises:
            Exception: what the owner raised, which ends the conversation.
        """
        await self.line.send(facts, descriptors=descriptors)
        answer = await self.line.receive()
        fault = fault_in(answer.facts)
        if fault is not None:
            self.is_over = True
            raise fault
        return answer


@dataclass(frozen=True)
class Elsewhere:
    """Where a model is, in place of its predictor: nothing in a front runs one.

    Args:
        owner: the number of the process that has it.
        key: its key there.
    """

    owner: int
    key: str


class RemoteModels:
    """The models of the owners; each question goes to the one with the least work."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._records: OrderedDict[str, Manifest] = OrderedDict()

    async def get(self, name: str | None = None) -> LoadedModel:
        """Return a model, as `service.bundles.manager.ModelManager.get`; its network stays there.

        Raises:
            ZooError: as there.
            OwnerGoneError, StoppedError, OverloadedError: no owner can be asked.
        """
        owner = self._lines.page.least_loaded()
        found = (await self._lines.ask(owner, {"do": "get", "name": name})).facts
        at = Elsewhere(owner, found["key"])
        manifest = self._records.get(at.key) or await self._fetch(at, found["name"])
        return LoadedModel(found["name"], found["version"], manifest, cast("Segmenter", at))

    async def _fetch(self, at: Elsewhere, name: str) -> Manifest:
        """Return the record of a model that was not met before."""
        answer = await self._lines.ask(at.owner, {"do": "describe", "key": at.key, "name": name})
        (text,) = _arrays_of(answer)
        manifest = Manifest.model_validate_json(text.tobytes())
        self._records[at.key] = manifest
        if len(self._records) > _MOST_RECORDS:
            self._records.popitem(last=False)
        return manifest


class RemoteRates:
    """The rates of clients, which the first owner counts."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    async def admit(self, client: str) -> None:
        """Count one request.

        Raises:
            RateLimitError: it is one too many.
        """
        await self._lines.ask(0, {"do": "rate", "client": client})


class SharedDoor:
    """The admission of all owners, as far as a front knows without asking; see `state.Door`."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._is_closed = False

    def check(self) -> None:
        """Raise if no owner takes another image.

        Raises:
            OverloadedError, StoppedError, OwnerGoneError: they are full, stopping or gone.
        """
        if self._is_closed:
            raise StoppedError("the service is stopping; send the request again")
        self._page.least_loaded()

    def close(self) -> None:
        """Refuse new requests from now on."""
        self._is_closed = True


@dataclass(frozen=True)
class RemoteDesk:
    """Admits images to the networks of the owners; see `service.answering.network.Desk`."""

    lines: Lines

    @asynccontextmanager
    async def admitted(
        self, order: Order, header: ImageInfo, *, body_bytes: int
    ) -> AsyncIterator[RemoteNetwork]:
        """Hold the room of an image at its owner during the block."""
        at = cast(Elsewhere, order.model.predictor)
        limit = order.answer_limit
        facts = {
            "do": "admit",
            "key": at.key,
            "name": order.model.name,
            "options": order.options.model_dump(mode="json"),
            "needs": {name: getattr(order.needs, name) for name in _NEEDS},
            "request_id": order.request_id,
            "file_name": order.file_name,
            "answer_limit": None if limit is None else asdict(limit),
            "deadline": order.deadline,
            "header": header.to_json(),
            "body_bytes": body_bytes,
            "trace": carry_trace(),
        }
        async with self.lines.talk(at.owner) as talk:
            await talk.ask(facts)
            network = RemoteNetwork(talk)
            try:
                yield network
            finally:
                network.close()
            await talk.line.send({"do": "done"})
            talk.is_over = True


class RemoteNetwork:
    """The network's part of one image, at its owner; see `service.answering.segment.NetworkPart`.

    Args:
        talk: in which the image was admitted.
    """

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._pixels: int | None = None

    def read(self, order: Order, image: OpenedImage) -> OpenImage:
        """Read an image into shared memory."""
        pixels = image.rows.read(0, image.rows.height)
        self._pixels = share([pixels])
        return OpenImage(image, None, pixels)

    async def segment(self, order: Order, opened: OpenImage, timings: Timings) -> Segmentation:
        """Let the owner segment the image that was read."""
        assert opened.pixels is not None, "`read` reads all of them"
        assert self._pixels is not None, "an image is read before it is segmented"
        facts = {
            "do": "segment",
            "layout": layout_of([opened.pixels]),
            "info": opened.image.info.to_json(),
        }
        started = time.perf_counter()
        answer = await self._talk.ask(facts, [self._pixels])
        arrays = iter(_arrays_of(answer))
        label_map, confidence, probabilities = (
            next(arrays) if has else None for has in answer.facts["has"]
        )
        there_s = 0.0
        for stage, seconds in answer.facts["stages"]:
            timings.add_elsewhere(stage, seconds)
            there_s += seconds
        timings.add_elsewhere("handover", max(0.0, time.perf_counter() - started - there_s))
        assert label_map is not None, "a segmentation has one"
        labels, mode = order.model.labels, answer.facts["mode"]
        return Segmentation(label_map, confidence, labels, mode, {}, probabilities=probabilities)

    def close(self) -> None:
        """Let go of the pixels."""
        if self._pixels is not None:
            os.close(self._pixels)
            self._pixels = None


def _arrays_of(answer: Message) -> list[Any]:
    """Return the arrays that came with a message."""
    with contextlib.closing(answer):
        return attach(answer.descriptors[0], answer.facts["layout"])
