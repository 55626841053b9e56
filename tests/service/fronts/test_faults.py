"""An error is the same problem for the client in whichever process it was raised."""

from __future__ import annotations

import json

import pytest

from maskzoo.models import errors as zoo
from maskzoo.service import errors
from maskzoo.service.fronts.faults import RemoteFaultError, describe_fault, fault_in
from maskzoo.service.problems import problem_of

RAISED = [
    zoo.UnknownNameError("model", "cels", ["cells", "streets"]),
    zoo.SpecError("prediction", ["one", "two"]),
    zoo.NotFiniteError("torch", "float16", "2 of 3"),
    zoo.ImageTooLargeError(10, 20, 100),
    zoo.ShapeError("too small"),
    errors.BadParameterError(["mode: no", "tta: no"]),
    errors.ModelBrokenError("cells", "it is damaged", 12),
    errors.ModelLoadingError("cells", 20),
    errors.ModelUnloadedError("cells"),
    errors.ModelMemoryError(99),
    errors.OverloadedError(7),
    errors.RateLimitError(0.5, 3),
    errors.DeadlineError("too late"),
    errors.StoppedError("the service is stopping"),
    MemoryError(),
]


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_an_error_arrives_as_what_it_was(error):
    found = fault_in(json.loads(json.dumps(describe_fault(error))))
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert problem_of(found) == problem_of(error)


def test_an_error_of_a_class_of_its_own_arrives_as_the_nearest_known_one():
    class OurOwnError(zoo.BundleError):
        """Only this process knows it."""

    found = fault_in(describe_fault(OurOwnError("broken")))
    assert type(found) is zoo.BundleError
    assert str(found) == "broken"


def test_of_a_mistake_of_ours_only_that_it_happened_is_told():
    described = describe_fault(KeyError("/secret/path"))
    assert "secret" not in json.dumps(described)
    assert type(fault_in(described)) is RemoteFaultError


def test_a_message_without_a_fault_raises_none():
    assert fault_in({"key": "a"}) is None
