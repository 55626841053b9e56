"""One trace through several processes: front and owner; a job and the request that sent it."""

from __future__ import annotations

import signal

import pytest

from tests.service.fronts.parts import parts_of

pytest.importorskip("opentelemetry.sdk.trace", reason="the extra telemetry is not installed")

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
AT_THE_OWNER = {"queue", "preprocess", "network", "postprocess"}


@pytest.mark.slow
def test_front_and_owner_send_the_spans_of_one_trace_and_a_job_continues_its_own(
    run, collector, png, monkeypatch
):
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    with run(processes=2, telemetry=True) as server:
        parts = parts_of(server)
        answer = server.client.post("/segment?model=cells", content=png, headers=headers)
        assert answer.status_code == 200
        made = server.client.post("/jobs?model=cells", content=png, headers=headers)
        job = made.json()["id"]
        assert server.wait_for_job(job, "done", "failed")["state"] == "done"
        assert server.client.get(f"/jobs/{job}/result").status_code == 200
        assert server.end(signal.SIGTERM) == 0
    pid_of = {span.span_id: pid for pid, span in collector.spans_of()}
    spans = [span for span in collector.spans() if span.trace_id.hex() == TRACE]
    below = {
        span.span_id: [one for one in spans if one.parent_span_id == span.span_id] for span in spans
    }
    image, upload = sorted(
        (span for span in spans if span.parent_span_id.hex() == CALLER), key=lambda span: span.name
    )[::-1]
    assert (image.name, upload.name) == ("POST /segment", "POST /jobs")

    front, owner = pid_of[image.span_id], parts["owner-0"]
    assert front in (parts["front-0"], parts["front-1"])
    (there,) = [span for span in below[image.span_id] if span.name == "owner"]
    assert pid_of[there.span_id] == owner
    assert {span.name for span in below[there.span_id]} == AT_THE_OWNER
    assert {pid_of[span.span_id] for span in below[there.span_id]} == {owner}
    here = [span for span in below[image.span_id] if span is not there]
    assert {pid_of[span.span_id] for span in here} == {front}
    assert {span.name for span in here} == {"decode", "postprocess", "encode"}, "nothing twice"

    assert pid_of[upload.span_id] == owner
    (work,) = below[upload.span_id]
    assert work.name == "job"
    facts = {item.key: item.value for item in work.attributes}
    assert facts["maskzoo.job"].string_value == job
    assert facts["maskzoo.attempt"].int_value == 1
    assert {"decode", "network", "encode"} <= {span.name for span in below[work.span_id]}
    (result,) = [span for span in collector.spans() if span.name.endswith("/result")]
    assert [link.trace_id.hex() for link in result.links] == [TRACE]
    assert [link.span_id for link in result.links] == [upload.span_id]
