"""Several images: each has its own outcome, and a full server is asked once more."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace

from maskzoo.models.errors import ImageFormatError
from maskzoo.service.answering.several import answer_each
from maskzoo.service.errors import OverloadedError
from maskzoo.service.inputs.uploads import Upload

ANSWER = SimpleNamespace(headers=lambda: {"Maskzoo-Model": "cells"})


def outcomes(answer, *names: str, max_bytes: int = 100):
    uploads = [Upload(b"", name) for name in names]
    work = answer_each(
        uploads,
        answer,
        media_type="image/png",
        suffix="png",
        path="/segment",
        request_id="r1",
        max_bytes=max_bytes,
    )
    return asyncio.run(work)


def test_an_image_that_fails_is_a_problem_document_in_its_place(caplog):
    async def answer(upload: Upload):
        if upload.name == "b":
            raise ImageFormatError("b is not a readable image")
        if upload.name == "c":
            raise RuntimeError("secret")
        return ANSWER, upload.name.encode()

    first, second, third = outcomes(answer, "a", "b", "c")
    assert (first.name, first.status, first.body, first.suffix) == ("a", 200, b"a", "png")
    assert first.headers == {"Maskzoo-Model": "cells"}
    problem = json.loads(second.body)
    assert (second.status, second.media_type) == (400, "application/problem+json")
    assert (problem["instance"], problem["request_id"]) == ("/segment", "r1")
    assert third.status == 500
    assert b"secret" not in third.body
    assert "event=image_crash request_id=r1" in caplog.text


def test_one_that_found_no_room_beside_the_others_is_tried_again_when_they_are_done():
    inside, tries = 0, []

    async def answer(upload: Upload):
        nonlocal inside
        tries.append(upload.name)
        if inside or (upload.name == "c"):
            raise OverloadedError(2)
        inside += 1
        await asyncio.sleep(0)
        inside -= 1
        return ANSWER, b""

    found = outcomes(answer, "a", "b", "c")
    assert [outcome.status for outcome in found] == [200, 200, 503]
    assert tries == ["a", "b", "c", "b", "c"]


def test_answers_that_are_too_many_bytes_together_are_left_out_one_by_one():
    async def answer(upload: Upload):
        return ANSWER, b"x" * int(upload.name)

    found = outcomes(answer, "6", "5", "4", "1", max_bytes=10)
    assert [outcome.status for outcome in found] == [200, 422, 200, 422]
    assert "at most 10 bytes" in json.loads(found[1].body)["detail"]
