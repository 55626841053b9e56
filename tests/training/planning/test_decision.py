"""A decision as a person reads it."""

from __future__ import annotations

from maskzoo.training.planning.decision import Decision


def test_values_are_shown_short() -> None:
    terms = ({"name": "ce", "weight": 1.0}, {"name": "dice", "weight": 0.5})
    assert Decision("a", tuple(range(9)), "").shown == "0, 1, 2, 3, 4, 5 … (9)"
    assert Decision("a", (1.0, 2.5), "").shown == "1, 2.5"
    assert Decision("loss.terms", terms, "").shown == "1 ce + 0.5 dice"
    assert Decision("loss.class_weights", None, "").shown == "None"
