"""Spans: of the stages of an image, and of work that goes on in another process or later.

FastAPI makes the request's span, with the caller's `traceparent` as its parent. Where its work goes
on elsewhere (a job, the owner of a device), the span is carried along as the headers of W3C Trace
Context and continued there, so that all of it is one trace. Only OpenTelemetry's API is used here:
without a provider every call does nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from maskzoo.service.responses.timings import Timings

_tracer = trace.get_tracer("maskzoo")
_headers = TraceContextTextMapPropagator()


def trace_stages(timings: Timings, *, model: str, image: str) -> None:
    """Record the measured stages as children of the current span.

    Args:
        image: the client's name of the file.
    """
    if not trace.get_current_span().is_recording():
        return
    facts = {"maskzoo.model": model, "maskzoo.image": image}
    for part in timings.spans:
        span = _tracer.start_span(part.stage, start_time=part.start_ns, attributes=facts)
        span.end(end_time=part.start_ns + round(part.seconds * 1e9))


def carry_trace() -> dict[str, str]:
    """Return the current span as headers, for `continue_trace`; none where there is no span."""
    carried: dict[str, str] = {}
    _headers.inject(carried)
    return carried


@contextmanager
def continue_trace(
    carried: Mapping[str, str],
    name: str,
    facts: Mapping[str, str | int],
    *,
    kind: Literal["SERVER", "CONSUMER"],
) -> Iterator[None]:
    """Let a span below a carried one be the current one during the block; errors are noted in it.

    Args:
        carried: what `carry_trace` returned; nothing happens where it is empty.
        name: of the span.
        facts: its attributes.
        kind: of the span: whether the other end waits for its end.
    """
    if not carried:
        yield
        return
    above = _headers.extract(carried)
    with _tracer.start_as_current_span(
        name, context=above, kind=trace.SpanKind[kind], attributes=facts
    ):
        yield


def link_trace(carried: Mapping[str, str]) -> None:
    """Link the current span to a carried one."""
    if carried:
        there = trace.get_current_span(_headers.extract(carried)).get_span_context()
        trace.get_current_span().add_link(there)
