"""The OpenAPI document, tried out by schemathesis: what it promises is what comes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

_BOUNDED = settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
def test_every_operation_keeps_what_the_document_promises(serve, counted_model, tmp_path):
    address = serve(counted_model, state_folder=tmp_path, max_images=3)
    document = schemathesis.openapi.from_url(f"{address}/openapi.json")
    # A random body is no image: that it is refused is right.
    excluded = [schemathesis.checks.positive_data_acceptance]
    found = []
    for result in document.get_all_operations():
        operation = result.ok()

        @_BOUNDED
        @given(case=operation.as_strategy())
        def try_out(case):
            case.call_and_validate(excluded_checks=excluded)

        try:
            try_out()
        except Exception as error:
            found.append(f"{operation.label}: {error}")
    assert found == [], "\n\n".join(found)


@pytest.mark.slow
def test_what_an_accepted_job_links_to_keeps_the_document_too(serve, counted_model, tmp_path, png):
    """Stateful: jobs are accepted, watched, fetched and deleted, in any order and twice."""
    address = serve(counted_model, state_folder=tmp_path, max_jobs=200)
    document = schemathesis.openapi.from_url(f"{address}/openapi.json")
    jobs = document.include(path_regex="^/jobs")
    seen: set[tuple[str, int]] = set()

    class Machine(jobs.as_state_machine()):
        """Jobs, with a body that is an image."""

        def before_call(self, case) -> None:
            """Send an image, since a random body is none."""
            if case.operation.label == "POST /jobs":
                case.body, case.media_type, case.query = png, "image/png", {}

        def validate_response(self, response, case, **_) -> None:
            """Check all but what is taken: the body was replaced."""
            seen.add((case.operation.label, response.status_code))
            checks = schemathesis.checks
            excluded = [checks.positive_data_acceptance, checks.negative_data_rejection]
            if case.operation.label.endswith("/events"):  # the schema is that of the whole text
                excluded.append(checks.response_schema_conformance)
            case.validate_response(response, excluded_checks=excluded)

    Machine.run(settings=settings(_BOUNDED, max_examples=30, stateful_step_count=8))
    assert ("POST /jobs", 202) in seen
    assert ("GET /jobs/{job_id}", 200) in seen
    assert {code for label, code in seen if label == "DELETE /jobs/{job_id}"} >= {204}
    assert any(label.endswith("/result") and code in (200, 409) for label, code in seen)
