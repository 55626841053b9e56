"""A receiver of OpenTelemetry's protocol, for tests of what is sent to one."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Collector(ThreadingHTTPServer):
    """Takes OTLP over HTTP and keeps the bodies by their path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[tuple[str, bytes]] = []

    def spans(self) -> list:
        """Return the spans that came, as the protocol's own classes."""
        return [span for _, span in self.spans_of()]

    def spans_of(self) -> list[tuple[int, Any]]:
        """Return the spans that came, each with the process that sent it, or 0."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        requests = [
            ExportTraceServiceRequest.FromString(body)
            for path, body in self.bodies
            if path == "/v1/traces"
        ]
        resources = [part for request in requests for part in request.resource_spans]
        names = {
            item.value.string_value
            for part in resources
            for item in part.resource.attributes
            if item.key == "service.name"
        }
        assert names == {"maskzoo"}
        return [(_process(part), span) for part in resources for span in _spans(part)]


def _process(part: Any) -> int:
    """Return the id of the process that sent a part, if it was told to say so."""
    facts = {item.key: item.value.int_value for item in part.resource.attributes}
    return facts.get("process.pid", 0)


def _spans(part: Any) -> Iterator[Any]:
    for scope in part.scope_spans:
        yield from scope.spans


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append((self.path, body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing."""
