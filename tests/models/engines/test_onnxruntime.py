"""ONNX Runtime: which provider it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maskzoo.models.engines.onnxruntime import check_providers, choose_providers
from maskzoo.models.errors import EngineError

TENSORRT, CUDA, CPU = (f"{name}ExecutionProvider" for name in ("Tensorrt", "CUDA", "CPU"))


@pytest.mark.parametrize(
    ("available", "chosen"),
    [
        ([TENSORRT, CUDA, CPU], [TENSORRT, CUDA, CPU]),
        ([CPU, CUDA], [CUDA, CPU]),
        ([CPU, CUDA, TENSORRT], [TENSORRT, CUDA, CPU]),
    ],
)
def test_onnxruntime_takes_the_fastest_provider_of_a_gpu_first(
    available: list[str], chosen: list[str], tmp_path: Path
) -> None:
    found = choose_providers(torch.device("cuda", 1), available, 3, tmp_path)
    assert [name for name, _ in found] == chosen
    assert all(options["device_id"] == 1 for name, options in found if name != CPU)
    if TENSORRT in chosen:
        options = found[0][1]
        assert options["trt_engine_cache_path"] == str(tmp_path)
        assert options["trt_profile_opt_shapes"] == "image:1x3x512x512"


def test_onnxruntime_on_a_cpu_takes_no_gpu() -> None:
    assert choose_providers(torch.device("cpu"), [TENSORRT, CUDA, CPU], 3, None) == [(CPU, {})]


def test_onnxruntime_without_a_provider_for_the_gpu_says_what_to_install() -> None:
    with pytest.raises(EngineError, match="pip install onnxruntime-gpu"):
        choose_providers(torch.device("cuda"), ["AzureExecutionProvider", CPU], 3, None)


def test_a_session_that_fell_back_to_the_cpu_is_refused() -> None:
    with pytest.raises(EngineError, match=r"could not load its provider for cuda:0.*cuDNN"):
        check_providers(torch.device("cuda", 0), [CPU])
    check_providers(torch.device("cuda", 0), [CUDA, CPU])
    check_providers(torch.device("cpu"), [CPU])
