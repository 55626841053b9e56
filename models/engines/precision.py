"""Precision and memory layout by device: 16 bits where the device has units for them.

Training and inference both use these functions, so that a validation and an evaluation of its
bundle run the same convolutions: another memory layout of the weights rounds differently.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def has_bf16(device_type: str) -> bool:
    """Tell whether a device of this type (`cuda`, `cpu` …) multiplies bfloat16 in hardware."""
    if device_type == "cuda":
        output: bool = torch.cuda.is_bf16_supported(including_emulation=False)
        return output
    if device_type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def half_type(device: torch.device) -> torch.dtype | None:
    """Return bfloat16 or float16 if the device computes faster in it, else None.

    A GPU without bfloat16 units takes float16. A CPU takes bfloat16 if it has AVX512_BF16 or AMX;
    others only emulate it, more slowly than they compute in float32.
    """
    if has_bf16(device.type):
        return torch.bfloat16
    return torch.float16 if device.type == "cuda" else None


def prefers_channels_last(device_type: str) -> bool:
    """Tell whether convolutions on a device of this type run faster with channels last.

    They do on CUDA and on CPUs with AVX-512; see `benchmarks/training.py`.
    """
    if device_type == "cpu":
        return torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return device_type == "cuda"


def name_precision(dtype: torch.dtype | None) -> str:
    """Return the name of a type of numbers; None is float32."""
    return str(dtype or torch.float32).removeprefix("torch.")


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Return the autocast context of `dtype`; None changes nothing."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype=dtype)
