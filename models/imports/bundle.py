"""Imported networks become bundles: built, filled without a tensor to spare, written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from maskzoo.models.bundles.bundle import save_bundle
from maskzoo.models.bundles.records import Provenance
from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.record import ImportedNetwork
from maskzoo.models.network.network import SegmentationNetwork
from maskzoo.models.registry import build_network

_SHOWN = 5


def build_imported(imported: ImportedNetwork) -> SegmentationNetwork:
    """Build the network and load its weights; in evaluation mode.

    Raises:
        WeightsError: names the tensors that are missing, unknown or of another shape.
    """
    network = build_network(imported.spec)
    own = network.state_dict()
    state = dict(imported.state)
    for key, tensor in own.items():
        if key.endswith("num_batches_tracked"):
            state.setdefault(key, tensor)
    mistakes = _mistakes(state, own)
    if mistakes:
        raise WeightsError(
            f"{imported.source.file!r} does not fit {imported.spec.architecture!r} on "
            f"{imported.spec.encoder!r}: " + "; ".join(mistakes)
        )
    network.load_state_dict(state, strict=True)
    return network.eval()


def write_imported(
    imported: ImportedNetwork,
    folder: Path,
    *,
    name: str | None = None,
    dtype: Literal["float16", "float32"] = "float32",
) -> Path:
    """Write an imported network as a bundle.

    Args:
        folder: of the bundle.
        name: of the bundle; None takes the folder's name.
        dtype: of the large tensors; float32 keeps what the file had.

    Raises:
        WeightsError: the weights do not fit the network.
        BundleError: the name is not allowed, or the folder is not a bundle.
    """
    return save_bundle(
        folder,
        build_imported(imported),
        name=bundle_name(name or folder.name),
        labels=imported.labels,
        preprocessing=imported.preprocessing,
        metrics=imported.metrics,
        provenance=Provenance(
            description=imported.description or None,
            weights_licence=imported.licence or None,
            imported_from=imported.source,
        ),
        dtype=dtype,
    )


def bundle_name(text: str) -> str:
    """Return a name that a bundle may have, near to `text`."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:64] or "imported"


def _mistakes(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    found = {
        "missing": sorted(own.keys() - state.keys()),
        "unknown": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{key} {tuple(state[key].shape)}, needed {tuple(tensor.shape)}"
            for key, tensor in own.items()
            if key in state and state[key].shape != tensor.shape
        ],
    }
    return [
        f"{len(keys)} {kind} ({', '.join(keys[:_SHOWN])}{' …' if len(keys) > _SHOWN else ''})"
        for kind, keys in found.items()
        if keys
    ]
