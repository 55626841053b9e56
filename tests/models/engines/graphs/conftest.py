"""A machine on which torch seems to find a GPU."""

from __future__ import annotations

import pytest
import torch

from tests.models.engines.graphs.fake import LateDevice


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> LateDevice:
    """A machine on which torch seems to find a GPU."""
    device = LateDevice()
    where = "maskzoo.models.engines"
    monkeypatch.setattr(f"{where}.choose.choose_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(f"{where}.eager.choose_device", lambda _: torch.device("cpu"))
    monkeypatch.setattr(f"{where}.graphs.engine.half_type", lambda _: None)
    monkeypatch.setattr(f"{where}.graphs.opening.open_device", lambda _: device)
    return device
