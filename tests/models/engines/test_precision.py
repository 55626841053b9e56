"""The arithmetic that pays on a device."""

from __future__ import annotations

import pytest
import torch

from maskzoo.models.engines.precision import (
    autocast,
    half_type,
    name_precision,
    prefers_channels_last,
)

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("has_avx512", "has_amx", "expected"),
    [
        (False, False, None),  # it would emulate bfloat16, slower than float32
        (True, False, torch.bfloat16),
        (False, True, torch.bfloat16),
    ],
)
def test_a_cpu_takes_bfloat16_if_it_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch, has_avx512: bool, has_amx: bool, expected: torch.dtype | None
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: has_amx)
    assert half_type(CPU) == expected


@pytest.mark.parametrize(("has_units", "expected"), [(True, torch.bfloat16), (False, torch.half)])
def test_a_gpu_without_bfloat16_takes_float16(
    monkeypatch: pytest.MonkeyPatch, has_units: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_units)
    assert half_type(CUDA) == expected


@pytest.mark.parametrize(
    ("capability", "expected"), [("DEFAULT", False), ("AVX2", False), ("AVX512_VNNI", True)]
)
def test_a_cpu_prefers_channels_last_with_avx_512(
    monkeypatch: pytest.MonkeyPatch, capability: str, expected: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert prefers_channels_last("cpu") == expected
    assert prefers_channels_last("cuda")


def test_a_context_computes_in_the_type_that_it_was_made_for() -> None:
    a = torch.ones(2, 2)
    with autocast(CPU, torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(CPU, None):
        assert (a @ a).dtype == torch.float32


def test_no_type_is_called_float32() -> None:
    assert [name_precision(one) for one in (None, torch.half)] == ["float32", "float16"]
