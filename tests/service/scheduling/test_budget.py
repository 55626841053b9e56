"""The budget of bytes: full at its limit, and a refusal counts nothing."""

from __future__ import annotations

import pytest

from maskzoo.service.errors import OverloadedError
from maskzoo.service.scheduling.budget import ByteBudget


def test_a_budget_is_full_at_its_limit_and_not_before():
    budget = ByteBudget(10)
    budget.take(4)
    budget.take(6)
    with pytest.raises(OverloadedError) as caught:
        budget.take(1)
    assert caught.value.retry_after_s == 2
    assert budget.used == 10


def test_what_is_given_back_can_be_taken_again():
    budget = ByteBudget(10)
    budget.take(10)
    budget.give_back(3)
    budget.take(3)
    assert budget.used == 10
