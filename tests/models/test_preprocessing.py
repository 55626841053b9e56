"""What a network's input looks like: records that make no sense are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from maskzoo.models.preprocessing import Preprocessing


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"mean": (0.5,), "std": (0.5, 0.5)}, "must match"),
        ({"mean": (0.5,), "std": (0.0,)}, "std must be positive"),
        ({"mean": (), "std": ()}, "at least 1 item"),
        ({"mean": (0.5,), "std": (1.0,), "value_range": (0, 1)}, "Input should be 255"),
        ({"mean": (0.5,), "std": (1.0,), "channel_order": "BGR"}, "Input should be 'RGB'"),
        ({"mean": (0.5,), "std": (1.0,), "max_side": 0}, "greater than or equal to 1"),
        ({"mean": (0.5,), "std": (1.0,), "crop": 3}, "Extra inputs"),
    ],
)
def test_a_wrong_preprocessing_says_what_is_wrong(fields, reason):
    with pytest.raises(ValidationError, match=reason):
        Preprocessing(**fields)
