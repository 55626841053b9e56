"""Loading of one bundle in a thread: verified, measured and warmed up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from maskzoo.models.bundles.manifest import WEIGHTS_FILE, Manifest, read_manifest
from maskzoo.models.errors import BundleError
from maskzoo.models.inference.predictor import Predictor
from maskzoo.service.bundles.entries import LoadModel, ModelEntry, Segmenter
from maskzoo.service.bundles.memory import resident_bytes, tensor_bytes

_TRIES = 3  # to read a bundle that is being replaced
_WARM_UP_SIDE = 512  # of an image for models that do not say at what size they were trained


@dataclass(frozen=True)
class Loaded:
    """What came of one load.

    Args:
        num_bytes: memory that the model holds.
        load_s: seconds that it took.
    """

    manifest: Manifest
    predictor: Segmenter
    num_bytes: int
    load_s: float


def load_whole(load: LoadModel, path: Path) -> Loaded:
    """Load a bundle and the record that belongs to it, also while it is being replaced.

    Raises:
        BundleError: it cannot be used, or changes all the time.
    """
    begun, before = time.perf_counter(), resident_bytes()
    for _ in range(_TRIES):
        manifest = read_manifest(path)
        predictor = load(path)
        if read_manifest(path) == manifest:
            grown = max(0, resident_bytes() - before)
            measured = tensor_bytes(predictor)
            num_bytes = grown if measured is None else measured
            return Loaded(manifest, predictor, num_bytes, time.perf_counter() - begun)
    raise BundleError(f"{path} changed while it was being loaded, {_TRIES} times over")


def estimate_bytes(entry: ModelEntry) -> int:
    """Return what a model will hold: as last time, else by its file; weights load as float32."""
    if entry.loaded is not None:
        return entry.loaded.num_bytes
    try:
        size = (entry.path / WEIGHTS_FILE).stat().st_size
    except OSError:
        return 0
    is_half = entry.manifest is not None and entry.manifest.weights_dtype == "float16"
    return 2 * size if is_half else size


def warm_up(predictor: Predictor) -> None:
    """Segment one grey image, so that the first request pays for no compilation.

    A network that cannot run at all is found out here and not by a request.
    """
    height, width = predictor.preprocessing.train_size or (_WARM_UP_SIDE, _WARM_UP_SIDE)
    size = (min(height, _WARM_UP_SIDE), min(width, _WARM_UP_SIDE))
    predictor.segment(np.full((*size, 3), 128, np.uint8))
