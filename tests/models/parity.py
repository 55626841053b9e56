"""Parity checks: an exported file against its network, at sizes other than the exported one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from maskzoo.models.network.network import SegmentationNetwork

# (batch, height, width): odd, non-square, another batch, and the smallest supported size.
PARITY_SHAPES = ((1, 65, 97), (3, 96, 64), (1, 32, 32))


@dataclass(frozen=True)
class Parity:
    """The difference of logits at one input shape.

    Attributes:
        shape: (N, C, H, W) of the input.
        difference: the largest absolute difference.
        labels_equal: fraction of pixels with the same class.
    """

    shape: tuple[int, int, int, int]
    difference: float
    labels_equal: float


def check_onnx(
    network: SegmentationNetwork,
    path: Path | str,
    *,
    shapes: Sequence[tuple[int, int, int]] = PARITY_SHAPES,
    tolerance: float = 1e-4,
) -> list[Parity]:
    """Compare an ONNX file with `network`, on the same random images.

    Args:
        network: in evaluation mode during the check.
        path: written by `models.export.onnx.export_onnx`, with normalised input.
        shapes: (batch, height, width) to try.
        tolerance: of the logits, absolute.

    Raises:
        AssertionError: ONNX Runtime refuses the file, or gives other logits.
    """
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(0)
    results = []
    for batch, height, width in shapes:
        shape = (batch, network.spec.in_channels, height, width)
        x = torch.randn(shape, generator=generator)
        wanted = _logits(network, x)
        try:
            (array,) = session.run(["logits"], {"image": x.numpy()})
        except Exception as error:  # ONNX Runtime's errors have no common base class
            raise AssertionError(f"{path} does not run at {shape}: {error}") from error
        given = torch.from_numpy(array)
        results.append(
            Parity(
                shape=shape,
                difference=float((given - wanted).abs().max()),
                labels_equal=float((given.argmax(1) == wanted.argmax(1)).float().mean()),
            )
        )
    wrong = [result for result in results if not result.difference <= tolerance]
    if wrong:
        lines = "".join(f"\n  - {result.shape}: {result.difference:.2e}" for result in wrong)
        raise AssertionError(f"{path} differs from the network by more than {tolerance}:{lines}")
    return results


@torch.no_grad()
def _logits(network: SegmentationNetwork, x: torch.Tensor) -> torch.Tensor:
    was_training = network.training
    device = next(network.parameters()).device
    logits = network.eval()(x.to(device)).cpu()
    network.train(was_training)
    output: torch.Tensor = logits
    return output
