"""Settings of the augmentation: bounds, and the names of further transforms."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from maskzoo.training.config.augment import AugmentConfig


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"flip": 0.5}, "Extra inputs are not permitted"),
        ({"scale": (2.0, 0.5)}, "must satisfy"),
        ({"flip_horizontal": 1.5}, "less than or equal to 1"),
        ({"extra": [{"name": "GausNoise"}]}, "unknown transform 'GausNoise'; did you mean"),
        (
            {"extra": [{"name": "GaussNoise", "options": {"std_rang": 1, "mean": 2}}]},
            "GaussNoise has no argument 'std_rang'; did you mean 'std_range'",
        ),
    ],
)
def test_wrong_settings_are_errors_and_not_warnings(
    settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(ValidationError, match="validation error") as caught:
        AugmentConfig.model_validate(settings)
    assert complaint in str(caught.value)
