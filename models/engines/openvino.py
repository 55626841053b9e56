"""OpenVINO: the fastest engine on CPUs, at any batch and size.

Runs `model.xml` as written by `models.export.engines`. The graph has free sizes; OpenVINO caches
its preparation for each size that it has seen.

Batches are channels last in memory, and so is the model's declared layout: it transposes while it
reads, where a separate copy took up to a tenth of the time. Pixels are normalised in the graph: it
reads a quarter of the bytes, and no torch threads spin beside OpenVINO's, which cost a quarter of
the time of a small network.
"""

from __future__ import annotations

import functools
import math
import queue
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from maskzoo.models.engines.base import EngineChoice
from maskzoo.models.errors import EngineError
from maskzoo.models.files import read_regular
from maskzoo.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    import openvino


RELEASE_PIXELS = 1 << 20
"""Pixels of a run from which its intermediate memory is given back when nothing runs any more.

OpenVINO keeps the most that any run needed: 3.4 GB for one image of 1600 x 1600 on `aerial-danet`.
Giving it back takes 0.03 s, 1 s for these, and the next run 0.1 s more.
"""

_CACHED_STEPS = "100"
"""Prepared steps that OpenVINO keeps, each for one layer and one size of image.

Its own limit is 5000. 240 images of 60 sizes on the three shipped models left 250 MB with this one,
400 MB with 500 and 170 MB with 0. Sizes that follow each other are prepared in 1 to 3 ms of a core.
"""

_PRECISIONS = {"f32": "float32", "bf16": "bfloat16", "f16": "float16"}


class OpenVinoEngine:
    """Engine that runs one OpenVINO model on the CPU.

    Args:
        path: of ``model.xml``; its weights lie beside it.
        preprocessing: of the pixels.
        num_classes: of the network.
        threads: of one run; None takes torch's number of threads.
        exact: compute in float32 even if the processor has bfloat16, which OpenVINO prefers.

    Raises:
        EngineError: OpenVINO is not installed, or refuses the file.
    """

    name = "openvino"
    takes_pixels = True
    choice: EngineChoice | None = None

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
            core = openvino_core()
        except ImportError as error:
            raise EngineError("OpenVINO is not installed: pip install openvino") from error
        self.device = torch.device("cpu")
        self.in_channels = len(preprocessing.mean)
        self.num_classes = num_classes
        settings: dict[str, object] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads or torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # other work of the service shares the cores
            "CPU_RUNTIME_CACHE_CAPACITY": _CACHED_STEPS,
        }
        if exact:
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        _check_kind(path)
        try:
            # Kept for `_of_values`: by then the file may have been replaced.
            self._model = core.read_model(path, path.with_suffix(".bin"))
            self._of_pixels = _Program(self._model, settings, preprocessing)
        except RuntimeError as error:
            raise EngineError(f"{path}: OpenVINO cannot load it: {error}") from error
        self._settings = settings
        self.holds_scores = _holds_scores(self._model)
        computed_in = self._of_pixels.precision.to_string()
        self.precision = _PRECISIONS.get(computed_in, computed_in)

    def run(self, batch: Tensor) -> Tensor:
        """Return float32 logits for a batch of pixels or of normalised values."""
        program = self._of_pixels if batch.dtype == torch.uint8 else self._of_values
        values = batch.permute(0, 2, 3, 1).contiguous().numpy()  # a copy only of other orders
        return torch.from_numpy(program.run(values))

    @functools.cached_property
    def _of_values(self) -> _Program:
        """The program for resized views, compiled on first use."""
        return _Program(self._model, self._settings, None)


def _check_kind(path: Path) -> None:
    """Refuse another format under this name: OpenVINO would read it by what it holds.

    Raises:
        EngineError: it is not OpenVINO's own, or a file is missing.
    """
    try:
        if not path.with_suffix(".bin").is_file() or not read_regular(path).startswith(b"<?xml"):
            raise EngineError(
                f"{path} is not a model of OpenVINO with its weights; export it again"
            )
    except OSError as error:
        raise EngineError(f"{path} cannot be read: {error.strerror}") from None


class _Program:
    """A compiled model of (N, H, W, C) arrays, with one buffer for each concurrent run.

    Args:
        model: of normalised (N, C, H, W); not modified.
        preprocessing: of uint8 input; None takes normalised float32.
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
        self._lock = threading.Lock()
        self._running = 0
        self._largest = 0  # pixels of a run since memory was last released
        self._num_runs = self._num_runs_seen = 0
        _PROGRAMS.add(self)

    def run(self, values: np.ndarray) -> np.ndarray:
        """Return the logits (N, K, h, w)."""
        with self._lock:  # also while memory is released, which no run may meet
            self._running += 1
            self._num_runs += 1
            self._largest = max(self._largest, math.prod(values.shape[:3]))
        try:
            return self._infer(values)
        finally:
            with self._lock:
                self._running -= 1
                if self._largest >= RELEASE_PIXELS and not self._running:
                    self._largest = 0
                    self._compiled.release_memory()

    def release_if_idle(self) -> None:
        """Give intermediate memory back unless it ran since the last call."""
        with self._lock:
            is_idle = not self._running and self._num_runs == self._num_runs_seen
            self._num_runs_seen = self._num_runs
            if is_idle and self._largest:
                self._largest = 0
                self._compiled.release_memory()

    def _infer(self, values: np.ndarray) -> np.ndarray:
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            request.infer([values], share_inputs=True)
            return np.array(request.get_output_tensor(0).data)  # the buffer is used again
        finally:
            self._idle.put(request)


_PROGRAMS: weakref.WeakSet[_Program] = weakref.WeakSet()


def release_idle() -> None:
    """Give back the intermediate memory of all models that did not run since the last call."""
    for program in list(_PROGRAMS):
        program.release_if_idle()


_CORE_LOCK = threading.Lock()  # two threads that miss a `functools.cache` at once both compute


def openvino_core() -> openvino.Core:
    """Return the process's only Core, which is never destroyed.

    A Core sets an alternative stack for signal handlers in its thread when it first compiles, and
    restores the previous one when it is destroyed (OpenVINO 2026.4, x86-64). If the lives of two
    Cores overlap, the later one restores the earlier one's stack, which is freed by then: the next
    signal kills the process without a message, or overwrites foreign memory.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    with _CORE_LOCK:
        return _make_core()


@functools.cache
def _make_core() -> openvino.Core:
    import openvino

    # The first such call fills a table of types and releases the interpreter's lock meanwhile.
    # Every inference makes the call; two threads at once would deadlock, and no signal would end
    # the process (OpenVINO 2026.4). So one thread makes it here first.
    openvino.Type.u8.to_dtype()
    return openvino.Core()


def _holds_scores(model: openvino.Model) -> bool:
    """Tell whether a graph of free sizes has a softmax over a map of positions by positions.

    OpenVINO keeps such a map as a whole, also where the graph computes it in blocks.
    """
    shapes = [
        op.output(0).get_partial_shape()
        for op in model.get_ops()
        if op.get_type_name() in ("Softmax", "ScaledDotProductAttention")
    ]
    return any(
        shape[len(shape) - 1].is_dynamic and shape[len(shape) - 2].is_dynamic
        for shape in shapes
        if len(shape) > 1
    )


def _channels_last(model: openvino.Model, preprocessing: Preprocessing | None) -> openvino.Model:
    """Return the model of normalised (N, C, H, W) as one of (N, H, W, C), optionally of pixels."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    if preprocessing is not None:
        steps.input().tensor().set_element_type(Type.u8)
        way = steps.input().preprocess()
        # The layout comes first: on planes the arithmetic costs nothing measurable, on rows of
        # three channels a tenth of a small network's time.
        way.convert_layout(Layout("NCHW"))
        way.convert_element_type(Type.f32)
        way.mean([255 * value for value in preprocessing.mean])
        way.scale([255 * value for value in preprocessing.std])
    return steps.build()
