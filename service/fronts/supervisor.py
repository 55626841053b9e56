"""The supervisor: starts the owners and the fronts, replaces those that end, drains them all.

It neither answers requests nor loads a model, so little can happen to it. Where it is killed
nevertheless, all other processes end as by SIGTERM.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from prometheus_client.multiprocess import mark_process_dead

from maskzoo.models.errors import ZooError
from maskzoo.service.decoding.shared import HAS_SHARED_MEMORY
from maskzoo.service.fronts.page import Page
from maskzoo.service.fronts.part import WRONG_INPUT, Part
from maskzoo.service.observability.metrics import SHARED_FOLDER
from maskzoo.service.server import INTERRUPTED, LAST_S
from maskzoo.service.settings import Settings

logger = logging.getLogger(__name__)

_MODULE = "maskzoo.service.fronts.run"
_FIRST_S, _LONGEST_S = 0.5, 30.0  # the time doubles with each end
_LONG_LIFE_S = 60.0  # after it an end counts as the first one
_KILL_S = 5  # after all limits of the processes themselves


class Supervisor:
    """The processes of one service.

    Args:
        settings: of the service; children read the same from the environment.
        listener: the socket that clients connect to.
        fronts: how many processes answer requests.
        devices: of each owner.
        folder: of the owners' sockets and of the shared metrics; empty.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        *,
        fronts: int,
        devices: Sequence[str],
        folder: Path,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._fronts = fronts
        self._devices = list(devices)
        self._folder = folder
        self._page = Page.create(owners=len(devices), fronts=fronts)
        self._metrics = Path(os.environ.get(SHARED_FOLDER) or folder / "metrics")
        self._life, self._our_life = os.pipe()
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._interrupts = 0
        self._code = 0

    async def run(self) -> int:
        """Run until a signal; return the exit code.

        A second SIGINT ends all processes at once.
        """
        self._metrics.mkdir(exist_ok=True)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # of nohup
            loop.add_signal_handler(signal.SIGHUP, self._on_signal, signal.SIGTERM)
        keeping = [asyncio.create_task(self._keep(part)) for part in self._parts()]
        await self._stopping.wait()
        limit_s = self._settings.leave_s + self._settings.shutdown_s + LAST_S + _KILL_S
        _, late = await asyncio.wait(keeping, timeout=limit_s)
        if late:
            logger.error("event=killed processes=%s", " ".join(self._children))
            self._send(signal.SIGKILL)
            await asyncio.wait(late)
        return self._code

    def _on_signal(self, number: signal.Signals) -> None:
        """Pass a signal on; the second SIGINT is the last."""
        self._stopping.set()
        self._listener.close()  # as the fronts do: nobody waits for an answer that never comes
        if number == signal.SIGINT:
            self._interrupts += 1
        if self._interrupts > 1:
            self._code = INTERRUPTED
        self._send(number)

    def _send(self, number: signal.Signals) -> None:
        for child in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(number)

    def _parts(self) -> list[Part]:
        kinds: list[tuple[Literal["front", "owner"], int]] = [
            *(("owner", number) for number in range(len(self._devices))),
            *(("front", number) for number in range(self._fronts)),
        ]
        return [
            Part(
                kind=kind,
                number=number,
                fronts=self._fronts,
                devices=tuple(self._devices),
                folder=self._folder,
                page=self._page.descriptor,
                life=self._life,
                listener=self._listener.fileno(),
                image_threads=self._settings.image_threads,
                body_bytes=self._settings.body_bytes,
            )
            for kind, number in kinds
        ]

    async def _keep(self, part: Part) -> None:
        """Keep one process running until the service stops."""
        ends = 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            code = await self._live(part)
            if self._stopping.is_set():
                return
            if code == WRONG_INPUT:  # it has said why, and would say it again
                self._code = code
                self._on_signal(signal.SIGTERM)
                return
            ends = 1 if time.monotonic() - begun > _LONG_LIFE_S else ends + 1
            wait_s = 0.0 if ends == 1 else min(_LONGEST_S, _FIRST_S * 2 ** (ends - 2))
            logger.error(
                "event=process_ended part=%s code=%d restart_in_s=%g", part.name, code, wait_s
            )
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), wait_s)

    async def _live(self, part: Part) -> int:
        """Run one process to its end; return its exit code."""
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            part.model_dump_json(),
            env=os.environ | {SHARED_FOLDER: str(self._metrics)},
            pass_fds=[part.page, part.life, *([part.listener] if part.kind == "front" else [])],
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the supervisor, which passes it on
        )
        self._children[part.name] = child
        logger.info("event=process_started part=%s pid=%d", part.name, child.pid)
        if self._stopping.is_set():  # the signal came while it was started
            child.terminate()
        code = await child.wait()
        del self._children[part.name]
        mark_process_dead(child.pid, str(self._metrics))  # type: ignore[no-untyped-call]
        if part.kind == "owner":
            self._page.forget_owner(part.number)
            self._page.forget_process(self._fronts + part.number)
        else:
            self._page.forget_process(part.number)
        return code


def supervise(settings: Settings, listener: socket.socket, *, gpus: int) -> int:
    """Serve with several processes until a signal; return the exit code.

    Args:
        settings: with the values that the machine decides.
        listener: the socket that clients connect to.
        gpus: CUDA devices of this machine.

    Raises:
        ZooError: these settings, or this system, do not go with several processes.
    """
    fronts, devices = settings.processes, devices_of(settings.device, gpus=gpus)
    assert isinstance(fronts, int), "the machine has decided"
    if not HAS_SHARED_MEMORY:
        raise ZooError(
            f"MASKZOO_PROCESSES is {fronts}, and several processes need Linux; set it to 1"
        )
    with tempfile.TemporaryDirectory(prefix="maskzoo-") as folder:
        supervisor = Supervisor(
            settings, listener, fronts=fronts, devices=devices, folder=Path(folder)
        )
        return asyncio.run(supervisor.run())


def devices_of(device: str, *, gpus: int) -> list[str]:
    """Return the devices of the owners: those that are named, or else all CUDA devices.

    Args:
        device: of the settings.
    """
    if device in ("auto", "cuda") and gpus:
        return [f"cuda:{number}" for number in range(gpus)]
    return device.split()
