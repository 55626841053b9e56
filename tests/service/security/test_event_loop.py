"""No single body keeps the others waiting: health is asked for while each is worked on.

The bodies are those that once held the event loop or the interpreter for seconds; 43 MB of `[],`
took 16 s. What counts is the processor time of the whole process meanwhile: threads that keep the
interpreter count too, and other processes on a busy machine do not. The limit is generous, as
threads may work side by side, and the shortest of a few tries counts. `test_loop_holds.py` measures
the loop alone, and closely.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from maskzoo.service.routes import segment

SIZE = 4_000_000
LONGEST_S = 0.5
TRIES = 4


def in_json(before: bytes, element: bytes, after: bytes) -> bytes:
    return before + element * (SIZE // len(element)) + after


BODIES: dict[str, tuple[str, bytes]] = {
    "empty lists": ("/segment", in_json(b'{"images":[', b"[],", b"[]]}")),
    "empty objects": ("/segment", in_json(b'{"x":[', b"{},", b"{}]}")),
    "members": ("/segment", in_json(b"{", b'"a":1,', b'"b":1}')),
    "quotes": ("/segment", in_json(b'{"x":"', b'\\"', b'"}')),
    "backslashes": ("/segment", in_json(b'{"x":"', b"\\\\", b'"}')),
    "escapes": ("/segment", in_json(b'{"image":"', b"\\u0041", b'"}')),
    "classes": ("/segment", in_json(b'{"image":"aGk=","classes":"', b"0,", b'0"}')),
    "model": ("/segment", in_json(b'{"image":"aGk=","model":"', b"n", b'"}')),
    "tta": ("/segment", in_json(b'{"image":"aGk=","tta":"', b"flip+", b'flip"}')),
    "masks": ("/segment", in_json(b'{"image":"aGk=","masks":"', b"rle,", b'rle"}')),
    "base64": ("/segment", in_json(b'{"image":"', b"A", b'"}')),
    "white space": ("/segment", in_json(b'{"image":"', b"A ", b'"}')),
    "long name": ("/segment", in_json(b'{"', b"k", b'":1}')),
    "numbers": ("/v2/models/cells/infer", in_json(b'{"inputs":[{"data":[', b"0,", b"0]}]}")),
    "tensors": ("/v2/models/cells/infer", in_json(b'{"inputs":[', b"{},", b"{}]}")),
    "inputs": ("/huggingface/cells", in_json(b'{"inputs":"', b"A", b'"}')),
    "threshold": ("/cvat/cells", in_json(b'{"image":"aGk=","threshold":', b"1", b"}")),
    "tasks": ("/label-studio/predict", in_json(b'{"tasks":[', b"{},", b"{}]}")),
    "xml": ("/label-studio/predict", in_json(b'{"tasks":[],"label_config":"', b"<a>", b'"}')),
}


class Watchdog:
    """Asks for /healthz again and again; keeps the most processor time that passed meanwhile."""

    def __init__(self, address: str) -> None:
        self.longest = 0.0
        self._client = httpx.Client(base_url=address, timeout=120)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Watchdog:
        """Start."""
        assert self._client.get("/healthz").status_code == 200
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            started = time.process_time()
            assert self._client.get("/healthz").status_code == 200
            self.longest = max(self.longest, time.process_time() - started)


def check(address: str, send: Callable[[], httpx.Response]) -> None:
    """Send until the others were not held up; each answer is a short refusal."""
    held_up = []
    for _ in range(TRIES):
        with Watchdog(address) as watchdog:
            answer = send()
        assert 400 <= answer.status_code < 500, answer.text[:300]
        assert len(answer.content) < 5000, "what was sent is not sent back"
        held_up.append(watchdog.longest)
        if held_up[-1] < LONGEST_S:
            return
    pytest.fail(f"the others waited for {held_up} s of processor time")


@pytest.mark.parametrize("name", BODIES)
def test_a_body_does_not_hold_the_others_up(serve, counted_model, name):
    address = serve(counted_model)
    path, body = BODIES[name]
    headers = {"Content-Type": "application/json"}
    check(address, lambda: httpx.post(address + path, content=body, headers=headers, timeout=120))


def form_with(fields: dict[str, str]) -> dict[str, tuple[str | None, bytes | str]]:
    return {name: (None, value) for name, value in fields.items()}


@pytest.mark.parametrize(
    "fields",
    [
        {"classes": "0," * 2_000_000},
        {"tta": "x+" * 4000},
        {f"option {number}": "x" for number in range(30)},
        {"k" * 4000: "x"},
        {"model": "n" * 16_000},
    ],
    ids=["too long", "views", "many unknown", "long name", "model"],
)
def test_the_fields_of_a_form_are_as_short(serve, counted_model, png, fields):
    address = serve(counted_model)
    files = {"file": png, **form_with(fields)}
    check(address, lambda: httpx.post(f"{address}/segment", files=files, timeout=120))


def test_the_longest_options_that_are_taken_are_answered(client, png):
    longest: dict[str, Callable[[], str]] = {
        "classes": lambda: ",".join(["0", "1"] * 1023),
        "masks": lambda: ",".join(["rle"] * 16),
    }
    for name, value in longest.items():
        answer = client.post("/segment", params={"format": "json", name: value()}, content=png)
        assert answer.status_code == 200, answer.text
        json.loads(answer.content)


@pytest.mark.parametrize(
    ("name", "count", "accept"),
    [
        ("tag_of", 1, "image/png"),
        ("write_array", 2, "application/json"),
        ("write_outcomes", 2, "multipart/mixed"),
    ],
)
def test_what_grows_with_a_body_or_an_answer_runs_in_a_thread(
    client, png, monkeypatch, name, count, accept
):
    """Asserts where the work runs and not how long it takes, on any machine."""
    threads = []
    original = getattr(segment, name)

    def noted(*arguments: object) -> object:
        threads.append(threading.get_ident())
        return original(*arguments)

    monkeypatch.setattr(segment, name, noted)
    loop_thread = client.portal.call(threading.get_ident)
    files = [("file", (f"{number}.png", png)) for number in range(count)]
    answer = client.post("/segment", files=files, headers={"Accept": accept})
    assert answer.status_code == 200
    assert len(threads) == 1
    assert loop_thread not in threads
