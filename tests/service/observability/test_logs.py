"""Log lines as JSON: one object each, with the id of its request."""

from __future__ import annotations

import json
import logging
import sys

from maskzoo.service.observability.logs import JsonFormatter
from maskzoo.service.observability.logs import request_id as current


def line(message: str, *args: object, **more: object) -> dict:
    record = logging.LogRecord("service.x", logging.WARNING, "f.py", 1, message, args, None)
    vars(record).update(more)
    return json.loads(JsonFormatter().format(record))


def test_pairs_become_members_with_the_values_as_they_were_given():
    document = line("event=model_ready model=%s load_s=%.2f path=%r", "a b", 1.2345, "x")
    assert document["event"] == "model_ready"
    assert (document["model"], document["load_s"], document["path"]) == ("a b", 1.2345, "x")
    assert (document["level"], document["logger"]) == ("warning", "service.x")
    assert document["time"].endswith("+00:00")


def test_any_other_line_is_a_message():
    assert line("Started %d of %s", 3, "x")["message"] == "Started 3 of x"


def test_a_line_stays_one_line_whatever_is_in_it():
    record = logging.LogRecord("x", logging.INFO, "f", 1, "event=a path=%r", ("/\n{}",), None)
    assert "\n" not in JsonFormatter().format(record)


def test_each_line_of_a_request_has_its_id():
    token = current.set("r-1")
    try:
        assert line("event=crash path=%r", "/")["request_id"] == "r-1"
        assert line("event=request request_id=%s", "mine")["request_id"] == "mine"
    finally:
        current.reset(token)
    assert "request_id" not in line("event=start")


def test_an_exception_is_logged_with_its_traceback():
    try:
        raise ValueError("deep inside")
    except ValueError:
        document = line("event=crash", exc_info=sys.exc_info())
    assert "ValueError: deep inside" in document["exception"]


def test_the_lines_of_a_real_request_carry_its_id(client, png, caplog):
    with caplog.at_level("INFO"):
        client.post("/segment", content=png, headers={"X-Request-ID": "find-me"})
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    mine = [item for item in lines if item.get("request_id") == "find-me"]
    assert [item["event"] for item in mine] == ["request"]
    assert mine[0]["status"] == 200
    assert mine[0]["path"] == "/segment"
