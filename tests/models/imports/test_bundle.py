"""Imported networks as bundles: names, and tensors that do not fit."""

from __future__ import annotations

import pytest

from maskzoo.models.imports.bundle import bundle_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("danet_r50", "danet_r50"),
        ("My Net (1)", "my-net-1"),
        ("..x", "x"),
        ("___", "imported"),
        ("A" * 80, "a" * 64),
    ],
)
def test_a_name_becomes_one_that_a_bundle_may_have(text, name):
    assert bundle_name(text) == name
