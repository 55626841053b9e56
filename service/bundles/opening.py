"""The real loader: a bundle on disk becomes a predictor that answers its first image at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from maskzoo.models.engines.base import MaskEngine
from maskzoo.models.engines.choose import MAX_INT8_LOSS
from maskzoo.models.inference.predictor import Predictor

# For which graphs are captured before the first request, as `service.scheduling.pace` tries them.
# The largest come first, since where memory is short the first ones are dropped.
_BATCHES = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
_WARM_UP_SIDE = 512  # of an image for models that do not say at what size they were trained


def open_bundle(
    path: Path, *, engine: str, device: str, max_int8_loss: float = MAX_INT8_LOSS
) -> Predictor:
    """Open a bundle on an engine and warm it up.

    Raises:
        BundleError, EngineError: it cannot be opened, or not with that engine.
    """
    predictor = Predictor.from_bundle(
        path, engine=engine, device=device, max_int8_loss=max_int8_loss
    )
    warm_up(predictor)
    return predictor


def warm_up(predictor: Predictor) -> None:
    """Segment one grey image, so that the first request pays for no compilation.

    An engine of graphs captures those of common batches first.

    A network that cannot run at all is found out here and not by a request.
    """
    preprocessing = predictor.preprocessing
    channels = 3 if preprocessing.bands is None else len(preprocessing.mean)
    height, width = preprocessing.train_size or (_WARM_UP_SIDE, _WARM_UP_SIDE)
    size = (min(height, _WARM_UP_SIDE), min(width, _WARM_UP_SIDE))
    if isinstance(predictor.engine, MaskEngine):
        predictor.engine.prepare(size, _BATCHES)
    predictor.segment(np.full((*size, channels), 128, np.uint8))
