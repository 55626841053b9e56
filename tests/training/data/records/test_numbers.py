from __future__ import annotations

import pytest

from maskzoo.training.data.records.numbers import format_percent


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.0213, "2.1 %"),
        (1 / 3, "33 %"),
        (0.998, "100 %"),
        (1.0, "100 %"),
        (0.0, "0 %"),
        (0.00012, "0.012 %"),
    ],
)
def test_a_fraction_is_written_in_percent(fraction: float, text: str) -> None:
    assert format_percent(fraction) == text


def test_more_digits_can_be_asked_for() -> None:
    assert format_percent(0.12345, digits=3) == "12.3 %"
