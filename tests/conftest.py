"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with third-party reference outputs and real data; tests skip without it."""
    if not (_SHARED / "references").is_dir():
        pytest.skip(f"needs the reference outputs and data sets in {_SHARED}, which is absent")
    return _SHARED
