"""OpenVINO: what is its own beside the answers that all engines give."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.engines.precision import has_bf16
from maskzoo.models.errors import EngineError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Preprocessing


@pytest.mark.parametrize("name", ["openvino", "openvino-bf16"])
def test_openvino_on_another_device_than_the_cpu_is_refused(
    exported: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cuda = torch.device("cuda", 0)
    monkeypatch.setattr("maskzoo.models.engines.choose.choose_device", lambda name: cuda)
    manifest = read_manifest(exported)
    with pytest.raises(EngineError, match=r"openvino runs on the CPU only, .*device cpu"):
        open_engine(exported, manifest, engine=name, device="cuda:0")
    assert open_engine(exported, manifest, engine="openvino", device="auto").name == "openvino"


def test_openvino_that_disagrees_in_bfloat16_runs_in_float32(
    exported: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from maskzoo.models.engines.openvino import OpenVinoEngine

    class Rounding(OpenVinoEngine):
        """OpenVINO on a processor with bfloat16, whose rounding changes every class."""

        def __init__(self, path: Path, *, exact: bool = False, **rest: Any) -> None:
            super().__init__(path, exact=exact, **rest)
            assert self.precision == "float32" or not exact
            self.precision = "float32" if exact else "bfloat16"

        def run(self, batch: torch.Tensor) -> torch.Tensor:
            logits = super().run(batch)
            return logits if self.precision == "float32" else -logits

    monkeypatch.setattr("maskzoo.models.engines.openvino.OpenVinoEngine", Rounding)
    with caplog.at_level(logging.INFO):
        engine = open_engine(exported, read_manifest(exported), engine="openvino", device="cpu")
    assert isinstance(engine, Rounding)
    assert engine.precision == "float32"
    assert "in bfloat16 only " in caplog.text


def test_bfloat16_that_is_asked_for_runs_or_says_that_the_processor_has_none(
    exported: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manifest = read_manifest(exported)
    if not has_bf16("cpu"):
        with pytest.raises(EngineError, match="this processor has no bfloat16"):
            open_engine(exported, manifest, engine="openvino-bf16", device="cpu")
        return
    with caplog.at_level(logging.INFO):
        engine = open_engine(exported, manifest, engine="openvino-bf16", device="cpu")
    assert engine.precision == "bfloat16"
    assert "in bfloat16: torch's class for" in caplog.text
    batch = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    exact = open_engine(exported, manifest, engine="torch", device="cpu").run(batch)
    torch.testing.assert_close(engine.run(batch), exact, atol=0.05, rtol=0.05)


SIGNAL = """
import gc, os, signal, sys
from pathlib import Path
from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.choose import open_engine

folder = Path(sys.argv[1])
first = open_engine(folder, read_manifest(folder), engine="openvino", device="cpu")
second = open_engine(folder, read_manifest(folder), engine="openvino", device="cpu")
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGUSR1, lambda number, frame: print("heard"))
os.kill(os.getpid(), signal.SIGUSR1)
"""


def test_signals_are_heard_after_engines_have_come_and_gone(exported: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL, str(exported)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout.strip()) == (0, "heard"), done.stderr


STARTS = """
import multiprocessing, sys, threading
from pathlib import Path

import openvino
import torch
from maskzoo.models.engines.openvino import OpenVinoEngine
from maskzoo.models.preprocessing import Preprocessing

HALF = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
cores = []


class CountedCore(openvino.Core):
    def __init__(self):
        cores.append(self)
        super().__init__()


def start(path):
    sys.setswitchinterval(1e-6)
    torch.set_num_threads(1)
    openvino.Core = CountedCore
    both = threading.Barrier(2)
    shapes = []

    def load_and_run():
        both.wait()
        engine = OpenVinoEngine(path, preprocessing=HALF, num_classes=3)
        both.wait()
        shapes.append(engine.run(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape)

    def compute():
        while len(shapes) < 2:
            sum(range(100))

    threads = [threading.Thread(target=load_and_run) for _ in range(2)]
    threads += [threading.Thread(target=compute, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(cores) == 1, f"{len(cores)} cores"


for number in range(int(sys.argv[2])):  # a fork saves the imports of each start
    process = multiprocessing.get_context("fork").Process(target=start, args=(Path(sys.argv[1]),))
    process.start()
    process.join(120)
    if process.exitcode != 0:
        process.kill()
        sys.exit(f"start {number}: {'hangs' if process.exitcode is None else 'failed'}")
"""


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("starts", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_two_models_that_start_in_two_threads_do_not_wait_for_each_other(
    tmp_path: Path, starts: int
) -> None:
    openvino = pytest.importorskip("openvino")
    image = openvino.opset13.parameter([-1, 3, -1, -1], np.float32)
    weights = np.ones((3, 3, 1, 1), np.float32)
    logits = openvino.opset13.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    openvino.save_model(openvino.Model([logits], [image], "tiny"), tmp_path / "model.xml")
    done = subprocess.run(
        [sys.executable, "-c", STARTS, str(tmp_path / "model.xml"), str(starts)],
        capture_output=True,
        text=True,
        timeout=1700,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_a_model_whose_file_is_gone_goes_on_for_pixels_and_for_values(
    copied: Path, kind: torch.dtype
) -> None:
    engine = open_engine(copied, read_manifest(copied), engine="openvino", device="cpu")
    shutil.rmtree(copied / "engines")
    assert engine.run(torch.zeros(1, 3, 64, 64, dtype=kind)).shape[:2] == (1, 3)


def attention(openvino: Any, *, positions: bool) -> Any:
    """Return a graph of free sizes whose softmax is over positions, or over channels."""
    ops = openvino.opset13
    image = ops.parameter([-1, 3, -1, -1], np.float32)
    rows = ops.reshape(image, ops.constant(np.array([0, 3, -1])), special_zero=True)  # (N, 3, L)
    scores = ops.matmul(rows, rows, positions, not positions)  # (N, L, L) or (N, 3, 3)
    weights = ops.softmax(scores, axis=2)
    mixed = (
        ops.matmul(rows, weights, False, False)
        if positions
        else ops.matmul(weights, rows, False, False)
    )
    shape = ops.shape_of(image)
    return openvino.Model([ops.reshape(mixed, shape, special_zero=False)], [image], "attention")


@pytest.mark.parametrize("positions", [True, False])
def test_an_engine_knows_whether_it_holds_scores_between_all_positions(
    tmp_path: Path, positions: bool
) -> None:
    openvino = pytest.importorskip("openvino")
    from maskzoo.models.engines.openvino import OpenVinoEngine

    openvino.save_model(attention(openvino, positions=positions), tmp_path / "model.xml")
    half = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    engine = OpenVinoEngine(tmp_path / "model.xml", preprocessing=half, num_classes=3)
    assert engine.run(torch.zeros(1, 3, 4, 5, dtype=torch.uint8)).shape == (1, 3, 4, 5)
    assert engine.holds_scores is positions
    labels = LabelSet.generic(3)
    pixels, scores = 1024 * 2048, (1024 * 2048 // 64) ** 2
    expected = 256 * pixels + (4 * scores if positions else 0)
    assert Predictor(engine, labels, half).run_bytes((1024, 2048)) == expected


def test_memory_of_large_runs_is_given_back_when_nothing_runs(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskzoo.models.engines import openvino as module

    monkeypatch.setattr(module, "RELEASE_PIXELS", 2 * 64 * 64)
    engine = open_engine(exported, read_manifest(exported), engine="openvino", device="cpu")
    assert isinstance(engine, module.OpenVinoEngine)
    program = engine._of_pixels
    released: list[int] = []

    class Noted:
        """The compiled model, with a note of each release."""

        def __init__(self, compiled: Any) -> None:
            self._compiled = compiled

        def __getattr__(self, name: str) -> Any:
            return getattr(self._compiled, name)

        def release_memory(self) -> None:
            released.append(program._running)
            self._compiled.release_memory()

    monkeypatch.setattr(program, "_compiled", Noted(program._compiled))
    small = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    before = engine.run(small)
    assert released == []
    engine.run(small.repeat(2, 1, 1, 1))
    assert released == [0]
    torch.testing.assert_close(engine.run(small), before)
    assert released == [0]
    program._running = 1  # another thread is in a run
    engine.run(small.repeat(2, 1, 1, 1))
    assert released == [0], "the other one needs it"
    program._running = 0
    engine.run(small)
    assert released == [0, 0], "what was put off is done by the last"
    engine.run(small)
    module.release_idle()
    assert len(released) == 2, "it ran since the last call"
    for _ in range(2):
        module.release_idle()
        assert len(released) == 3, "it rests; and once is enough"
    torch.testing.assert_close(engine.run(small), before)
