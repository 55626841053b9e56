"""Check that an engine treats the rows of a batch alike, each as it treats the image alone.

Runtimes have been wrong at any batch above 1 and right at 1 (public reports of TensorRT with
SegFormer), and a check image by image does not see that. The engine is compared with itself, at two
sizes: alone, in a batch of equal rows, and among other rows in another order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from maskzoo.models.engines.base import Engine
from maskzoo.models.engines.check import blobs
from maskzoo.models.engines.pixels import network_input
from maskzoo.models.errors import EngineError
from maskzoo.models.preprocessing import Preprocessing

_SIZES = ((64, 80), (65, 49))
_ORDERS = ((0, 0), (1, 0), (1, 0, 1))
"""Rows of each batch, by the number of the image."""

_MOST_DEVIATION = {"float32": 0.01}
_MOST_OF_16_BITS = 0.1
"""Of a row's logits from those of the image alone: root mean square, as a fraction of their spread.

Kernels of other batch sizes sum in another order. In 16 bits that moves the logits of a deep
network by a few hundredths of their spread, in float32 by less than a thousandth.
"""


def check_batches(engine: Engine, preprocessing: Preprocessing) -> None:
    """Run small batches and compare their rows with the same images alone.

    Raises:
        EngineError: a row differs, or the engine fails on a batch.
    """
    random = np.random.default_rng(1)
    for size in _SIZES:
        images = [blobs(random, size, engine.in_channels) for _ in range(2)]
        try:
            alone = [_logits(engine, [image], preprocessing)[0] for image in images]
            batches = [
                _logits(engine, [images[number] for number in order], preprocessing)
                for order in _ORDERS
            ]
        except Exception as error:  # the runtimes' errors have no common base class
            raise EngineError(f"{engine.name} cannot run a batch of images: {error}") from error
        for order, rows in zip(_ORDERS, batches, strict=True):
            for row, number in zip(rows, order, strict=True):
                _compare(engine, row, alone[number], batch=len(order), size=size)


def _compare(
    engine: Engine, row: Tensor, alone: Tensor, *, batch: int, size: tuple[int, int]
) -> None:
    """Compare logits (K, h, w) of one image in a batch with those of the image alone."""
    most = _MOST_DEVIATION.get(engine.precision, _MOST_OF_16_BITS)
    deviation, spread = _root_mean_square(row - alone), _root_mean_square(alone - alone.mean())
    if not deviation <= most * spread:  # also where one of them is nan
        raise EngineError(
            f"{engine.name} gives an image in a batch of {batch} other logits than alone "
            f"(at {size[0]} x {size[1]}, {deviation / spread if spread else deviation:.1%} of "
            f"their spread, at most {most:.0%} is rounding)"
        )


def _root_mean_square(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def _logits(engine: Engine, images: Sequence[np.ndarray], preprocessing: Preprocessing) -> Tensor:
    batch = network_input(images, preprocessing, engine.device, as_pixels=engine.takes_pixels)
    return engine.run(batch).float().cpu()
