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
