"""Classes and normalisation, as a person writes them."""

from __future__ import annotations

import pytest

from maskzoo.models.errors import SpecError
from maskzoo.models.imports.given import given_classes, given_normalisation


def test_names_are_separated_by_commas() -> None:
    assert given_classes("") == ()
    assert given_classes("road, car ,") == ("road", "car")


def test_normalisation_is_both_or_none_of_its_numbers() -> None:
    assert given_normalisation("", "") is None
    found = given_normalisation("0.5,0.4", "1, 2")
    assert found is not None
    assert (found.mean, found.std) == ((0.5, 0.4), (1, 2))


@pytest.mark.parametrize(("mean", "std"), [("0.5", ""), ("a", "1"), ("0.5,0.5", "1"), ("0.5", "0")])
def test_other_texts_are_refused(mean: str, std: str) -> None:
    with pytest.raises(SpecError, match="--mean and --std"):
        given_normalisation(mean, std)
