"""Spans of the stages of one image, below the span of its request.

FastAPI makes the request's span, with the caller's `traceparent` as its parent. Only
OpenTelemetry's API is used here: without a provider every call does nothing.
"""

from __future__ import annotations

from opentelemetry import trace

from maskzoo.service.responses.timings import Timings

_tracer = trace.get_tracer("maskzoo")


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
