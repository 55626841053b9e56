"""The contract of a predictor: the real one and the one of the tests are called alike."""

from __future__ import annotations

import inspect

import pytest

from maskzoo.models.inference.predictor import Predictor
from maskzoo.service.bundles.segmenter import Segmenter

METHODS = sorted(name for name in vars(Segmenter) if not name.startswith("_"))


def called(owner: object, name: str) -> list[tuple[str, object]]:
    """Return (name, kind) of each parameter."""
    parameters = inspect.signature(getattr(owner, name)).parameters.values()
    return [(one.name, one.kind) for one in parameters if one.name != "self"]


def test_the_contract_has_the_methods_that_the_service_calls():
    assert METHODS == ["logits", "plan", "run_bytes", "segment_batch", "segment_rows"]


@pytest.mark.parametrize("name", METHODS)
def test_a_predictor_takes_what_the_contract_names(name, counted_model):
    wanted = called(Segmenter, name)
    for owner in (Predictor, counted_model):
        assert [one for one in called(owner, name) if one in wanted] == wanted
