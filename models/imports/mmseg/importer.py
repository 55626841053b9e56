"""`import_mmseg`: a checkpoint of mmsegmentation becomes a network, its input and its classes."""

from __future__ import annotations

import re
from pathlib import Path

from torch import Tensor

from maskzoo.models.bundles.records import ImportedFrom
from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.envelope import Envelope, read_envelope
from maskzoo.models.imports.mmseg.inputs import read_inputs
from maskzoo.models.imports.mmseg.network import map_network
from maskzoo.models.imports.mmseg.text import parse_config
from maskzoo.models.imports.record import ImportedNetwork
from maskzoo.models.labels import LabelSet
from maskzoo.models.weights.checkpoint import Checkpoint, read_checkpoint

LICENCE = "Apache-2.0"
"""Of mmsegmentation's published weights, as its metafiles declare it."""

_HASH = re.compile(r"[-_]([0-9a-f]{8})\.pth$")
_STEM = "encoder.body.model.conv1"


def import_mmseg(path: Path, *, config: str | None = None, licence: str = "") -> ImportedNetwork:
    """Read a checkpoint of mmsegmentation, 0.x or 1.x.

    Args:
        path: the file.
        config: text of the configuration, in place of the one inside the file.
        licence: of the weights, as SPDX writes it; empty where it is not known.

    Raises:
        WeightsError: the file is damaged, says too little of itself, or describes a network that
            maskzoo does not have.
    """
    checkpoint = read_checkpoint(path)
    _check_hash(path.name, checkpoint)
    envelope = read_envelope(checkpoint.meta)
    text = config or envelope.config
    if text is None:
        raise WeightsError(
            f"{path.name!r} holds tensors and no configuration, which says how they are used; give "
            "the text of its configuration by --config"
        )
    settings = parse_config(text)
    network = map_network(settings["model"], checkpoint.state)
    inputs = read_inputs(settings)
    return ImportedNetwork(
        name=path.stem,
        spec=network.spec,
        state=network.state if inputs.is_rgb else _for_rgb(network.state),
        labels=_labels(envelope, network.spec.num_classes),
        preprocessing=inputs.preprocessing,
        source=ImportedFrom(
            library="mmsegmentation",
            file=path.name,
            sha256=checkpoint.sha256,
            left_out=network.left_out,
        ),
        licence=licence,
        description=f"{network.spec.architecture} of mmsegmentation",
    )


def _check_hash(name: str, checkpoint: Checkpoint) -> None:
    """Compare the hash in a published name, its last eight digits, with the file's."""
    found = _HASH.search(name)
    if found and not checkpoint.sha256.startswith(found[1]):
        raise WeightsError(
            f"{name!r} is damaged or was changed: its sha256 begins with "
            f"{checkpoint.sha256[:8]}, its name says {found[1]}; get the file again"
        )


def _labels(envelope: Envelope, num_classes: int) -> LabelSet:
    names = envelope.classes
    if len(names) != num_classes:
        return LabelSet.generic(num_classes)
    background = 0 if names[0] == "background" else None
    if not envelope.palette:
        return LabelSet.from_names(names, background=background)
    return LabelSet(names=names, colours=envelope.palette, background=background)


def _for_rgb(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a network of BGR images for RGB ones: its first channels turned."""
    first = next(key for key in (f"{_STEM}.weight", f"{_STEM}.0.weight") if key in state)
    return {**state, first: state[first].flip(1)}
