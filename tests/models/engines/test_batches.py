"""An engine must treat the rows of a batch as it treats each image alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from maskzoo.models.bundles.manifest import read_manifest
from maskzoo.models.engines.batches import check_batches
from maskzoo.models.engines.choose import open_engine
from maskzoo.models.engines.eager import EagerEngine
from maskzoo.models.engines.openvino import OpenVinoEngine
from maskzoo.models.errors import EngineError
from maskzoo.models.preprocessing import Preprocessing
from tests.models import tiny


class Planted(EagerEngine):
    """Torch with a fault: `change` gets the logits of each run."""

    name = "planted"

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        torch.manual_seed(0)
        network = torch.nn.Conv2d(3, 4, 3, padding=1, stride=4)
        super().__init__(network, in_channels=3, num_classes=4, device="cpu")
        self.change = change

    def run(self, batch: Tensor) -> Tensor:
        """Return the changed logits."""
        return self.change(super().run(batch).clone())


def first_for_all(logits: Tensor) -> Tensor:
    """Answer each row with the first one."""
    return logits[:1].expand_as(logits)


def swapped_in_threes(logits: Tensor) -> Tensor:
    """Mix up the rows of a batch of three only."""
    return logits.flip(0).roll(1, 0) if len(logits) == 3 else logits


def one_wrong_pixel(logits: Tensor) -> Tensor:
    """Damage a single pixel of the second row."""
    if len(logits) == 2:
        logits[1, :, 3, 3] = logits[1, :, 3, 3].flip(0) * 3
    return logits


def wrong_at_one_size(logits: Tensor) -> Tensor:
    """Damage batches of the second size only."""
    return logits * len(logits) if logits.shape[-1] == 13 else logits


def not_finite(logits: Tensor) -> Tensor:
    """Lose the last row of a batch."""
    if len(logits) > 1:
        logits[-1] = torch.nan
    return logits


@pytest.mark.parametrize(
    "fault", [first_for_all, swapped_in_threes, one_wrong_pixel, wrong_at_one_size, not_finite]
)
def test_an_engine_whose_rows_depend_on_the_batch_is_refused(
    fault: Callable[[Tensor], Tensor],
) -> None:
    with pytest.raises(EngineError, match=r"planted gives an image in a batch of \d other logits"):
        check_batches(Planted(fault), tiny.PREPROCESSING)


def test_an_engine_that_cannot_run_a_batch_is_refused_with_its_own_words() -> None:
    def fail(logits: Tensor) -> Tensor:
        if len(logits) > 1:
            raise RuntimeError("batch must be 1")
        return logits

    with pytest.raises(EngineError, match=r"planted cannot run a batch of images: batch must be 1"):
        check_batches(Planted(fail), tiny.PREPROCESSING)


def test_rounding_is_no_fault_and_in_16_bits_there_is_more_of_it() -> None:
    def noisy(logits: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(len(logits))
        noise = torch.randn(logits.shape, generator=generator)
        return logits + 0.02 * logits.std() * noise

    engine = Planted(noisy)
    with pytest.raises(EngineError, match="at most 1% is rounding"):
        check_batches(engine, tiny.PREPROCESSING)
    engine.precision = "bfloat16"
    check_batches(engine, tiny.PREPROCESSING)


def test_a_network_of_constant_logits_passes() -> None:
    check_batches(Planted(torch.zeros_like), tiny.PREPROCESSING)


def test_an_engine_that_is_wrong_in_batches_of_two_is_not_taken_and_the_log_says_why(
    exported: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = OpenVinoEngine.run

    def wrong_at_two(self: OpenVinoEngine, batch: Tensor) -> Tensor:
        logits = run(self, batch)
        return logits.flip(1) if len(batch) == 2 else logits

    monkeypatch.setattr(OpenVinoEngine, "run", wrong_at_two)
    manifest = read_manifest(exported)
    taken = open_engine(exported, manifest, device="cpu")
    assert taken.name == "onnxruntime"
    assert taken.choice is not None
    assert "openvino gives an image in a batch of 2 other logits than alone" in taken.choice.reason
    assert "batch of 2" in caplog.text
    with pytest.raises(EngineError, match="batch of 2"):
        open_engine(exported, manifest, engine="openvino", device="cpu")


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime", "openvino-bf16"])
def test_every_engine_is_asked_with_batches(
    exported: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    asked: list[str] = []

    def note(engine: EagerEngine, preprocessing: Preprocessing) -> None:
        asked.append(engine.name)

    monkeypatch.setattr("maskzoo.models.engines.choose.check_batches", note)
    try:
        open_engine(exported, read_manifest(exported), engine=engine, device="cpu")
    except EngineError as error:  # bfloat16 on a processor that has none
        pytest.skip(str(error))
    assert asked == [engine.partition("-")[0]]
