"""Classes are matched by name, and the tensors with a row for each class are known."""

from __future__ import annotations

import pytest

from maskzoo.models.registry import create_model
from maskzoo.models.tables.architectures import ARCHITECTURES
from maskzoo.training.starts.bundle import class_tensors
from maskzoo.training.starts.classes import ClassMatch
from tests.models.tiny import OPTIONS


def test_names_match_as_written_then_without_case_and_form() -> None:
    match = ClassMatch.of(["Cafe\u0301", "road", "Road", "SKY "], ["caf\u00e9", "road", "sky"])
    assert match.rows == (0, 1, None, 2)  # "Road" may mean either of two
    assert not match.is_same
    assert ClassMatch.of(["A", "b"], ["a", "B"]).is_same


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_tensors_that_count_classes_are_those_whose_size_follows_them(name: str) -> None:
    networks = [
        create_model(name, encoder="tu-resnet10t", num_classes=classes, **OPTIONS.get(name, {}))
        for classes in (37, 41)
    ]
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in networks]
    differing = {key for key in shapes[0] if shapes[0][key] != shapes[1][key]}
    assert class_tensors(networks[0]) == differing
