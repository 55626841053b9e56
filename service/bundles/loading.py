"""Loading of one bundle in a thread: complete, and measured."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from maskzoo.models.bundles.manifest import WEIGHTS_FILE, Manifest, read_manifest
from maskzoo.models.errors import BundleError
from maskzoo.service.bundles.entries import ModelEntry, read_record
from maskzoo.service.bundles.memory import resident_bytes, tensor_bytes
from maskzoo.service.bundles.segmenter import LoadModel, Segmenter

_TRIES = 3  # a bundle may be replaced while it is read


@dataclass(frozen=True)
class LoadedBundle:
    """A bundle that was loaded.

    Args:
        num_bytes: memory that the model holds.
        load_s: seconds that loading took.
    """

    manifest: Manifest
    predictor: Segmenter
    num_bytes: int
    load_s: float


def load_whole(load: LoadModel, path: Path) -> LoadedBundle:
    """Load a bundle with the record that belongs to it, even while the bundle is being replaced.

    Raises:
        BundleError: it cannot be used, or keeps changing.
    """
    started, before = time.perf_counter(), resident_bytes()
    for _ in range(_TRIES):
        manifest = read_record(path)
        predictor = load(path)
        if read_manifest(path) == manifest:
            grown = max(0, resident_bytes() - before)
            measured = tensor_bytes(predictor)
            num_bytes = grown if measured is None else measured
            return LoadedBundle(manifest, predictor, num_bytes, time.perf_counter() - started)
    raise BundleError(f"{path} changed while it was being loaded, {_TRIES} times over")


def estimate_bytes(entry: ModelEntry) -> int:
    """Return the memory that a model will need: as last time, else by its file as float32."""
    if entry.loaded is not None:
        return entry.loaded.num_bytes
    try:
        size = (entry.path / WEIGHTS_FILE).stat().st_size
    except OSError:
        return 0
    is_half = entry.manifest is not None and entry.manifest.weights_dtype == "float16"
    return 2 * size if is_half else size
