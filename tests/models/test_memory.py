"""Errors that mean a lack of memory; freed memory that stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from maskzoo.models.errors import ZooError
from maskzoo.models.memory import is_out_of_memory

FAR_TOO_MUCH = 2**50
"""More values than any machine can hold: the allocator refuses at once."""

CODE = """
import resource, torch
from maskzoo.models.memory import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(32):
        torch.ones(16 * 2**20)  # 64 MiB: glibc's own threshold grows up to 32
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert keep_freed_memory()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_blocks_of_one_size_take_few_new_pages_once_freed_memory_is_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE], check=True, capture_output=True, text=True, timeout=120
    )
    # Aligned blocks find their places after a few; without, it is the pages of all 32.
    assert int(done.stdout) < 16 * 64 * 256


def error_of(allocate: object) -> Exception:
    """Return what the library itself raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the test is about its kind
        allocate()
    return caught.value


@pytest.mark.parametrize(
    "allocate",
    [lambda: torch.empty(FAR_TOO_MUCH), lambda: np.empty(FAR_TOO_MUCH), lambda: bytes(2**62)],
    ids=["torch", "numpy", "python"],
)
def test_an_allocator_that_refuses_is_out_of_memory(allocate: object) -> None:
    assert is_out_of_memory(error_of(allocate))


# Texts as the libraries gave them in a process whose address space was limited.
OPENVINO = (
    "Exception from src/inference/src/cpp/infer_request.cpp:224:\n"
    "Check 'ptr' failed at src/plugins/intel_cpu/src/cpu_memory.cpp:257:\n"
    "Failed to allocate 201326592 bytes of memory\n"
)
ONNX_RUNTIME = (
    "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running Conv node. "
    "BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory "
    "for requested buffer of size 4294967296"
)
OPENCV = (
    "OpenCV(5.0.0) /io/opencv/modules/core/src/alloc.cpp:73: error: (-4:Insufficient memory) "
    "Failed to allocate 67108864 bytes in function 'OutOfMemoryError'"
)
CUDNN = "cuDNN error: CUDNN_STATUS_ALLOC_FAILED"


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 64 bytes."),
        RuntimeError(CUDNN),
        RuntimeError(OPENVINO),
        onnxruntime.capi.onnxruntime_pybind11_state.Fail(ONNX_RUNTIME),
        cv2.error(OPENCV),
    ],
    ids=["torch-cuda", "cuda", "torch-windows", "cudnn", "openvino", "onnxruntime", "opencv"],
)
def test_the_engines_own_errors_are_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("size mismatch"), ValueError("memory"), ZooError("out of memory with 1 image")],
)
def test_another_error_is_not_and_one_that_explains_itself_stays_as_it_is(error: Exception) -> None:
    assert not is_out_of_memory(error)
