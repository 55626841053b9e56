"""OpenVINO: the fastest engine on CPUs, at any batch and size.

Runs `model.xml` as `models.export.engines` writes it. The graph has free sizes; OpenVINO keeps
what it prepared for each size that it has seen.

Batches are channels last in memory (`models.inference.preprocess.to_batch`), and the model is told
so: it turns them as it reads them, where a copy in front of it took up to a tenth of the time.
"""

from __future__ import annotations

import queue
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from models.engines.base import Choice
from models.errors import EngineError

if TYPE_CHECKING:
    import openvino


_PRECISIONS = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


class OpenVinoEngine:
    """Runs one OpenVINO model on the CPU.

    Args:
        path: of ``model.xml``; its weights lie beside it.
        in_channels, num_classes: what the network takes and gives.
        threads: of one run; None takes as many as torch has.
        exact: compute in float32 even where the processor has bfloat16, which OpenVINO prefers.

    Attributes:
        is_exact: whether it computes in float32.

    Raises:
        EngineError: OpenVINO is not installed, or refuses the file.
    """

    name = "openvino"
    choice: Choice | None = None

    def __init__(
        self,
        path: Path,
        *,
        in_channels: int,
        num_classes: int,
        threads: int | None = None,
        exact: bool = False,
    ) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineError("OpenVINO is not installed: pip install openvino") from error
        self.device = torch.device("cpu")
        self.in_channels = in_channels
        self.num_classes = num_classes
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other work of the service shares the cores
        }
        if exact:
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            core = openvino.Core()
            model = _channels_last(core.read_model(path))
            self._compiled = core.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise EngineError(f"{path}: OpenVINO cannot load it: {error}") from error
        computed_in = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        self.is_exact = computed_in == openvino.Type.f32
        self.precision = _PRECISIONS.get(computed_in.to_string(), computed_in.to_string())
        # A request holds the buffers of one run; as many exist as runs have been at once.
        self._idle: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits for a normalised batch."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            pixels = batch.permute(0, 2, 3, 1).contiguous().numpy()  # a copy only of other orders
            request.infer([pixels], share_inputs=True)
            logits = np.array(request.get_output_tensor(0).data)  # the buffer is used again
        finally:
            self._idle.put(request)
        return torch.from_numpy(logits)


def _channels_last(model: openvino.Model) -> openvino.Model:
    """Return the model of (N, C, H, W) images as one that takes (N, H, W, C)."""
    from openvino import Layout
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    return steps.build()
