"""Answers that are not taken: counted, sent in pieces, and given up after a time."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import nullcontext

import httpx
import numpy as np
import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from maskzoo.service.guards import answers
from maskzoo.service.guards.answers import PIECE, AnswerGate
from maskzoo.service.scheduling.budget import ByteBudget

SCOPE = {"type": "http", "method": "GET", "path": "/p", "state": {"request_id": "r1"}}


async def receive() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


def passed(content: bytes, *, room: int, send=None, within_s: float = 60):
    """Return what the gate sends of an answer, the problems, and the bytes that still count."""
    sent, refused = [], []
    budget = ByteBudget(room)

    async def note(message: dict) -> None:
        sent.append(message)
        assert budget.used == (len(content) if len(content) > PIECE and not refused else 0)

    gate = AnswerGate(Response(content), budget, within_s, refused.append)
    try:
        asyncio.run(gate(SCOPE, receive, send or note))
    finally:
        assert budget.used == 0
    return sent, refused


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7])
def test_an_answer_arrives_whole_whatever_its_size_and_counts_while_it_is_sent(size):
    content = np.random.default_rng(0).bytes(size)
    sent, refused = passed(content, room=size)
    assert sent[0]["type"] == "http.response.start"
    assert b"".join(message["body"] for message in sent[1:]) == content
    assert max(len(message["body"]) for message in sent[1:]) <= PIECE
    assert [message.get("more_body", False) for message in sent[1:]] == (
        [True] * (len(sent) - 2) + [False]
    )
    assert refused == []


def test_a_large_answer_without_room_is_a_503_and_nothing_of_it_is_sent():
    sent, refused = passed(b"x" * (PIECE + 1), room=PIECE)
    assert refused == ["overloaded"]
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 503
    assert b"retry-after" in dict(sent[0]["headers"])
    assert json.loads(sent[1]["body"])["request_id"] == "r1"


def test_small_answers_need_no_room():
    sent, _ = passed(b"x" * PIECE, room=0)
    assert sent[0]["status"] == 200


def test_the_time_to_take_an_answer_grows_with_its_size(monkeypatch):
    given = []
    monkeypatch.setattr(
        answers.asyncio, "timeout", lambda seconds: given.append(seconds) or nullcontext()
    )
    for mib in (1, 3):
        passed(b"x" * (mib * 2**20), room=2**30, within_s=0.5)
    assert given == [16.5, 48.5]


def test_a_client_that_takes_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(answers, "MAX_SECONDS_PER_MIB", 0)

    async def never(message: dict) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ClientDisconnect):
        passed(b"x" * (PIECE + 1), room=2**30, send=never, within_s=0.05)


def test_an_answer_that_nobody_reads_keeps_the_next_one_out_until_it_is_read(
    serve, counted_model, encode
):
    """The overlay of noise has 9 MB; buffers of the system hold less."""
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)
    counted_model.whole_pixels = noise.size
    body = encode(noise)
    address = serve(counted_model, answer_bytes=12_000_000)
    url = httpx.URL(str(address))
    head = (
        f"POST /segment?variant=overlay HTTP/1.1\r\nHost: {url.host}\r\nContent-Type: image/png\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.socket() as idle, httpx.Client(base_url=url, timeout=60) as client:
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect((url.host, url.port))
        idle.sendall(head.encode() + body)
        assert idle.recv(12) == b"HTTP/1.1 200"  # it is being sent

        def ask() -> httpx.Response:
            return client.post("/segment?variant=overlay", content=body)

        assert ask().status_code == 503
        assert client.post("/segment", content=body).status_code == 200, "a small one has room"
        while idle.recv(1 << 20):
            pass
        while ask().status_code != 200:  # the bytes count until the last piece was taken
            pass
