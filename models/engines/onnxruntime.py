"""ONNX Runtime: CPUs, and NVIDIA GPUs through its CUDA and TensorRT providers.

TensorRT builds a program for the GPU in the first run, which takes minutes. It is kept in the
user's cache, under the hash of the weights, where ONNX Runtime names it by the model, the version
of TensorRT and the GPU. It is not kept in the bundle, because loading such a file executes its
code.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskzoo.models.engines.base import EngineChoice
from maskzoo.models.engines.device import choose_device
from maskzoo.models.errors import EngineError
from maskzoo.models.files import read_regular

_GPU = ("TensorrtExecutionProvider", "CUDAExecutionProvider")  # the fastest first
_CPU = "CPUExecutionProvider"
_SHAPES = {"min": (1, 32, 32), "opt": (1, 512, 512), "max": (16, 2048, 2048)}
"""Batch, height and width that TensorRT's program takes; for a larger one it builds another."""

_EXTERNAL = b"\x0a\x08location"
"""How each tensor that lies in another file names it: the key of a `StringStringEntryProto`."""

Provider = tuple[str, dict[str, Any]]


class OnnxRuntimeEngine:
    """Engine that runs one ONNX file.

    Args:
        path: of ``model.onnx``.
        in_channels, num_classes: of the network's input and output.
        device: ``cpu``, ``cuda``, ``cuda:1`` … or ``auto``.
        threads: of one run on a CPU; None takes torch's number of threads.
        cache: folder of TensorRT's programs; None stores none.

    Raises:
        EngineError: ONNX Runtime is not installed, has no provider for the device, or refuses the
            file.
        UnknownNameError: there is no such device.
    """

    name = "onnxruntime"
    takes_pixels = False
    choice: EngineChoice | None = None

    def __init__(
        self,
        path: Path,
        *,
        in_channels: int,
        num_classes: int,
        device: str = "auto",
        threads: int | None = None,
        cache: Path | None = None,
    ) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise EngineError(
                "ONNX Runtime is not installed: pip install 'maskzoo[onnx]'"
            ) from error
        self.device = choose_device(device)
        self.in_channels = in_channels
        self.num_classes = num_classes
        _check_whole(path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or torch.get_num_threads()
        available = onnxruntime.get_available_providers()
        providers = choose_providers(self.device, available, in_channels, cache)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its errors have no common base class
            raise EngineError(f"{path}: ONNX Runtime cannot load it: {error}") from error
        providers_used = self._session.get_providers()
        check_providers(self.device, providers_used)
        self.precision = "float16" if providers_used[0] == _GPU[0] else "float32"

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits for a normalised batch."""
        batch = batch.to(self.device).contiguous()
        if batch.is_cuda:  # ONNX Runtime reads it on its own stream
            torch.cuda.current_stream(batch.device).synchronize()
        binding = self._session.io_binding()
        place = (self.device.type, self.device.index or 0)
        shape = tuple(batch.shape)
        binding.bind_input("image", *place, np.float32, shape, batch.data_ptr())
        binding.bind_output("logits")
        self._session.run_with_iobinding(binding)
        (logits,) = binding.copy_outputs_to_cpu()
        return torch.from_numpy(logits)


def _check_whole(path: Path) -> None:
    """Refuse a file whose tensors lie in other files, which might be any on the disk.

    Raises:
        EngineError: it names another file, or cannot be read.
    """
    try:
        names_another = _EXTERNAL in read_regular(path)
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror}") from None
    if names_another:
        raise EngineError(f"{path} keeps weights in another file; export it again")


def choose_providers(
    device: torch.device, available: Sequence[str], in_channels: int, cache: Path | None
) -> list[Provider]:
    """Return the providers, the fastest first; each takes over what those before it cannot run.

    Args:
        available: the providers of this build of ONNX Runtime.

    Raises:
        EngineError: it has none for the device.
    """
    if device.type == "cpu":
        return [(_CPU, {})]
    options: dict[str, dict[str, Any]] = {name: {"device_id": device.index or 0} for name in _GPU}
    options[_GPU[0]] |= _tensorrt(in_channels, cache)
    found = [(name, options[name]) for name in _GPU if name in available]
    if not found:
        raise EngineError(
            f"ONNX Runtime has no provider for {device}, only {', '.join(available)}: "
            "pip install onnxruntime-gpu, or choose device cpu"
        )
    return [*found, (_CPU, {})]


def check_providers(device: torch.device, loaded: Sequence[str]) -> None:
    """Reject a session that fell back to the CPU, as ONNX Runtime does silently.

    Raises:
        EngineError: a GPU was requested, but none of its providers could be loaded.
    """
    if device.type != "cpu" and not set(loaded) & set(_GPU):
        raise EngineError(
            f"ONNX Runtime could not load its provider for {device}: check that CUDA and cuDNN "
            "are those that it was built for, or choose device cpu or engine torch"
        )


def _tensorrt(in_channels: int, cache: Path | None) -> dict[str, Any]:
    options: dict[str, Any] = {"trt_fp16_enable": True}
    for name, (batch, height, width) in _SHAPES.items():
        options[f"trt_profile_{name}_shapes"] = f"image:{batch}x{in_channels}x{height}x{width}"
    if cache is not None:
        options |= {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache)}
    return options
