"""A machine without a GPU and without bf16, so that plans are the same everywhere."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _cpu_without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr("maskzoo.training.planning.machine.has_bf16", lambda accelerator: False)
