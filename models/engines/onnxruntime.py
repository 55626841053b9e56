"""ONNX Runtime: CPUs, and NVIDIA GPUs through its CUDA and TensorRT providers."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.engines.eager import choose_device
from models.errors import EngineError


class OnnxRuntimeEngine:
    """Runs one ONNX file.

    Args:
        path: of ``model.onnx``.
        in_channels, num_classes: what the network takes and gives.
        device: ``cpu``, ``cuda``, ``cuda:1`` … or ``auto``.
        threads: of one run on a CPU; None takes as many as torch has.

    Raises:
        EngineError: ONNX Runtime is not installed, has no provider for the device, or refuses the
            file.
        UnknownNameError: there is no such device.
    """

    name = "onnxruntime"

    def __init__(
        self,
        path: Path,
        *,
        in_channels: int,
        num_classes: int,
        device: str = "auto",
        threads: int | None = None,
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
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads or torch.get_num_threads()
        providers = self._providers(onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # its errors have no common base class
            raise EngineError(f"{path}: ONNX Runtime cannot load it: {error}") from error

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits for a normalised batch."""
        (logits,) = self._session.run(None, {"image": batch.cpu().contiguous().numpy()})
        return torch.from_numpy(logits)

    def _providers(self, available: list[str]) -> list[str | tuple[str, dict[str, int]]]:
        """Return what to run on, the fastest first."""
        if self.device.type == "cpu":
            return ["CPUExecutionProvider"]
        index = {"device_id": self.device.index or 0}
        wanted = ("TensorrtExecutionProvider", "CUDAExecutionProvider")
        found = [(name, index) for name in wanted if name in available]
        if not found:
            raise EngineError(
                f"ONNX Runtime has no provider for {self.device}, only {', '.join(available)}: "
                "pip install onnxruntime-gpu, or choose device cpu"
            )
        return [*found, "CPUExecutionProvider"]
