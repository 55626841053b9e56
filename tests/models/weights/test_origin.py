"""One line for a person about the weights that an encoder started from."""

from __future__ import annotations

import pytest

from maskzoo.models.weights.origin import WeightsOrigin


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({}, "a.safetensors"),
        ({"licence": "MIT"}, "a.safetensors (licence MIT)"),
        ({"origin": "trained by A"}, "a.safetensors (trained by A)"),
        (
            {"licence": "MIT", "origin": "trained by A", "sha256": "0"},
            "a.safetensors (trained by A; licence MIT)",
        ),
    ],
)
def test_the_line_says_what_is_known(facts: dict[str, str], line: str) -> None:
    assert WeightsOrigin("a.safetensors", **facts).describe() == line
