"""Devices by name: those of this machine, and no others."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.engines.device import choose_device
from maskzoo.models.errors import UnknownNameError


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "device"),
    [("auto", "cuda"), ("cpu", "cpu"), ("cuda", "cuda"), ("cuda:1", "cuda:1")],
)
def test_a_machine_with_gpus_has_each_of_them_and_prefers_them(name: str, device: str) -> None:
    assert choose_device(name) == torch.device(device)


@pytest.mark.usefixtures("no_gpu")
def test_a_machine_without_a_gpu_has_the_cpu() -> None:
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(UnknownNameError, match="unknown device 'cuda'; known: auto, cpu"):
        choose_device("cuda")


@pytest.mark.usefixtures("two_gpus")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown device 'cuda:2'"):
        choose_device("cuda:2")
