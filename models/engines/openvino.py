"""OpenVINO: the fastest engine on CPUs, at any batch and size.

Runs `model.xml` as `models.export.engines` writes it. The graph has free sizes; OpenVINO keeps
what it prepared for each size that it has seen.

Batches are channels last in memory, and the model is told so: it turns them as it reads them, where
a copy in front of it took up to a tenth of the time. Pixels are normalised in the graph: a quarter
of the bytes go in, and no threads of torch's spin beside OpenVINO's, which cost a quarter of the
time of a small network.
"""

from __future__ import annotations

import functools
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from maskzoo.models.engines.base import Choice
from maskzoo.models.errors import EngineError
from maskzoo.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    import openvino


_PRECISIONS = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


class OpenVinoEngine:
    """Runs one OpenVINO model on the CPU.

    Args:
        path: of ``model.xml``; its weights lie beside it.
        preprocessing: of the pixels.
        num_classes: what the network gives.
        threads: of one run; None takes as many as torch has.
        exact: compute in float32 even where the processor has bfloat16, which OpenVINO prefers.

    Attributes:
        is_exact: whether it computes in float32.

    Raises:
        EngineError: OpenVINO is not installed, or refuses the file.
    """

    name = "openvino"
    takes_pixels = True
    choice: Choice | None = None

    def __init__(
        self,
        path: Path,
        *,
        preprocessing: Preprocessing,
        num_classes: int,
        threads: int | None = None,
        exact: bool = False,
    ) -> None:
        try:
            import openvino
        except ImportError as error:
            raise EngineError("OpenVINO is not installed: pip install openvino") from error
        self.device = torch.device("cpu")
        self.in_channels = len(preprocessing.mean)
        self.num_classes = num_classes
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other work of the service shares the cores
        }
        if exact:
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        try:
            self._model = openvino_core().read_model(
                path
            )  # kept: the file may be another one by and by
            self._of_pixels = _Program(self._model, settings, preprocessing)
        except RuntimeError as error:
            raise EngineError(f"{path}: OpenVINO cannot load it: {error}") from error
        self._settings = settings
        computed_in = self._of_pixels.precision
        self.is_exact = computed_in == openvino.Type.f32
        self.precision = _PRECISIONS.get(computed_in.to_string(), computed_in.to_string())

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits for a batch of pixels or of normalised values."""
        program = self._of_pixels if batch.dtype == torch.uint8 else self._of_values
        values = batch.permute(0, 2, 3, 1).contiguous().numpy()  # a copy only of other orders
        return torch.from_numpy(program.run(values))

    @functools.cached_property
    def _of_values(self) -> _Program:
        """What runs views that were resized; made when the first one comes."""
        return _Program(self._model, self._settings, None)


class _Program:
    """A compiled model of (N, H, W, C) arrays, with the memory for as many runs as meet.

    Args:
        model: of normalised (N, C, H, W); it is left as it is.
        preprocessing: of uint8 input; None takes float32 that is normalised.
    """

    def __init__(
        self,
        model: openvino.Model,
        settings: dict[str, object],
        preprocessing: Preprocessing | None,
    ) -> None:
        turned = _channels_last(model.clone(), preprocessing)
        self._compiled = openvino_core().compile_model(turned, "CPU", settings)
        self.precision = self._compiled.get_property("INFERENCE_PRECISION_HINT")
        self._idle: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()

    def run(self, values: np.ndarray) -> np.ndarray:
        """Return the logits (N, K, h, w)."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            request.infer([values], share_inputs=True)
            return np.array(request.get_output_tensor(0).data)  # the buffer is used again
        finally:
            self._idle.put(request)


_CORE_LOCK = threading.Lock()  # two threads that miss a `functools.cache` at once both compute


def openvino_core() -> openvino.Core:
    """Return the process's one Core, which is never given up.

    A Core gives its thread a stack for signal handlers when it first compiles, and takes it away
    when it ends (OpenVINO 2026.4, x86-64). Of two whose lives overlap, the later one puts the
    earlier one's stack back, which is gone by then: the next signal ends the process without a
    word, or is written into what lies there since.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    with _CORE_LOCK:
        return _make_core()


@functools.cache
def _make_core() -> openvino.Core:
    import openvino

    # The first call fills a table of types and lets go of the interpreter's lock meanwhile. An
    # inference makes that call; in two threads at once each would wait for what the other holds,
    # and no signal would end the process (OpenVINO 2026.4). So it is made here, by one thread.
    openvino.Type.u8.to_dtype()
    return openvino.Core()


def _channels_last(model: openvino.Model, preprocessing: Preprocessing | None) -> openvino.Model:
    """Return the model of normalised (N, C, H, W) as one of (N, H, W, C), perhaps of pixels."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    if preprocessing is not None:
        steps.input().tensor().set_element_type(Type.u8)
        way = steps.input().preprocess()
        # The layout first: on planes the arithmetic costs nothing that can be measured, on rows of
        # three channels a tenth of a small network's time.
        way.convert_layout(Layout("NCHW"))
        way.convert_element_type(Type.f32)
        way.mean([255 * value for value in preprocessing.mean])
        way.scale([255 * value for value in preprocessing.std])
    return steps.build()
