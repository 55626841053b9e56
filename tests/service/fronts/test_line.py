"""Messages between processes: what is sent arrives, and the end of a process is noticed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from maskzoo.service.decoding.shared import attach, layout_of, share
from maskzoo.service.fronts.line import MOST_BYTES, Line, LineClosedError, Listener


def pair() -> tuple[Line, Line]:
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Line(ends[0]), Line(ends[1])


def test_facts_bytes_and_shared_memory_arrive_as_they_were_sent():
    async def run():
        here, there = pair()
        sent = [np.arange(12, dtype=np.uint16).reshape(3, 4), np.ones((2, 2), np.float16)]
        descriptor = share(sent)
        await here.send({"layout": layout_of(sent)}, bytes(range(256)), [descriptor])
        os.close(descriptor)
        message = await there.receive()
        found = attach(message.descriptors[0], message.facts["layout"])
        message.close()
        assert message.data == bytes(range(256))
        for one, other in zip(sent, found, strict=True):
            np.testing.assert_array_equal(one, other)
        here.close(), there.close()

    asyncio.run(run())


def test_a_sender_waits_for_a_receiver_that_is_slow():
    async def run():
        here, there = pair()
        part = bytes(MOST_BYTES)

        async def send() -> None:
            for number in range(100):
                await here.send({"number": number}, part)

        sending = asyncio.create_task(send())
        await asyncio.sleep(0)
        assert not sending.done()
        numbers = [(await there.receive()).facts["number"] for _ in range(100)]
        await sending
        assert numbers == list(range(100))
        here.close(), there.close()

    asyncio.run(run())


def test_the_end_of_a_line_is_told_to_whoever_waits_for_a_message():
    async def run():
        here, there = pair()
        waiting = asyncio.create_task(there.receive())
        hearing = asyncio.create_task(here.hung_up())
        await asyncio.sleep(0)
        assert here.is_silent
        here.hang_up()
        await hearing
        with pytest.raises(LineClosedError):
            await waiting
        with pytest.raises(LineClosedError):
            await there.send({})
        assert not there.is_silent
        here.close(), there.close()

    asyncio.run(run())


_OTHER = """
import asyncio, sys, time
from pathlib import Path
from maskzoo.service.fronts.line import Line
line = Line.connect(Path(sys.argv[1]))
asyncio.run(line.send({"from": "there"}))
time.sleep(600)
"""


def test_a_process_that_is_killed_hangs_up_and_its_address_is_free_again(tmp_path: Path):
    async def run():
        listener = Listener(tmp_path / "a")
        other = subprocess.Popen([sys.executable, "-c", _OTHER, str(tmp_path / "a")])
        line = await listener.accept()
        assert (await line.receive()).facts == {"from": "there"}
        other.send_signal(signal.SIGKILL)
        with pytest.raises(LineClosedError):
            await line.receive()
        other.wait()
        line.close()
        listener.close()
        with pytest.raises(LineClosedError):
            Line.connect(tmp_path / "a")
        Listener(tmp_path / "a").close()

    asyncio.run(run())


def test_what_was_sent_before_the_end_arrives_though_a_message_was_left_unread_there():
    """The kernel then resets the connection, and says so before the messages that it has."""

    async def run():
        here, there = pair()
        await here.send({"never": "read"})
        await there.send({"last": "words"})
        there.close()
        assert (await here.receive()).facts == {"last": "words"}
        with pytest.raises(LineClosedError):
            await here.receive()
        here.close()

    asyncio.run(run())


def test_descriptors_that_arrive_are_closed_with_their_message_and_no_child_inherits_them():
    async def run():
        here, there = pair()
        descriptor = share([np.zeros(3, np.uint8)])
        await here.send({}, descriptors=[descriptor])
        os.close(descriptor)
        message = await there.receive()
        (received,) = message.descriptors
        assert not os.get_inheritable(received)
        message.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(received)
        here.close(), there.close()

    asyncio.run(run())
