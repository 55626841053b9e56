"""`import_mmseg`: a checkpoint of mmsegmentation becomes a network, its input and its classes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from torch import Tensor

from maskzoo.models.bundles.records import ImportedFrom
from maskzoo.models.errors import WeightsError
from maskzoo.models.imports.mmseg.envelope import Envelope, read_envelope
from maskzoo.models.imports.mmseg.inputs import read_inputs
from maskzoo.models.imports.mmseg.network import map_network
from maskzoo.models.imports.mmseg.published import (
    PublishedCheckpoint,
    find_published,
    recognise,
    recognise_name,
)
from maskzoo.models.imports.mmseg.text import parse_config
from maskzoo.models.imports.record import ImportedNetwork
from maskzoo.models.labels import LabelSet
from maskzoo.models.spec import describe_mistakes
from maskzoo.models.weights.checkpoint import Checkpoint, read_checkpoint

_HASH = re.compile(r"[-_]([0-9a-f]{8})\.pth$")
_STEM = "encoder.body.model.conv1"


def import_mmseg(
    path: Path, *, config: str | None = None, like: str | None = None, licence: str = ""
) -> ImportedNetwork:
    """Read a checkpoint of mmsegmentation, 0.x or 1.x.

    The settings that are not in the weights are taken from the first of these: `config`, `like`,
    the text inside the file, the catalogue of published checkpoints, where the file's SHA-256 or
    its name without the date is in it. Score, licence and address are taken by the SHA-256 only.

    Args:
        path: the file.
        config: text of a configuration.
        like: a published checkpoint that was trained with the same settings.
        licence: of the weights, as SPDX writes it; empty takes a published checkpoint's.

    Raises:
        WeightsError: the file is damaged, says too little of itself, or describes a network that
            maskzoo does not have.
        UnknownNameError: there is no published checkpoint `like`.
    """
    checkpoint = read_checkpoint(path)
    _check_hash(path.name, checkpoint)
    envelope = read_envelope(checkpoint.meta)
    published = recognise(checkpoint.sha256)
    settings = _settings(path.name, config, like, envelope, published)
    network = map_network(settings["model"], checkpoint.state)
    inputs = read_inputs(settings)
    return ImportedNetwork(
        name=published.name if published else path.stem,
        spec=network.spec,
        state=network.state if inputs.is_rgb else _for_rgb(network.state),
        labels=_labels(envelope, published, network.spec.num_classes),
        preprocessing=inputs.preprocessing,
        source=ImportedFrom(
            library="mmsegmentation",
            file=path.name,
            sha256=checkpoint.sha256,
            url=published.url if published else None,
            left_out=network.left_out,
        ),
        licence=licence or (published.licence if published else ""),
        description=_description(network.spec.architecture, published),
        metrics=published.metrics() if published else None,
    )


def _settings(
    file: str,
    config: str | None,
    like: str | None,
    envelope: Envelope,
    published: PublishedCheckpoint | None,
) -> Mapping[str, Any]:
    if config is not None:
        return parse_config(config)
    if like is not None:
        return find_published(like).settings()
    if envelope.config is not None:
        return parse_config(envelope.config)
    known = published or recognise_name(file)
    if known is not None:
        return known.settings()
    raise WeightsError(
        f"{file!r} holds tensors and no configuration, which says how they are used, and is not a "
        "published checkpoint; give the text of its configuration by --config, or name a published "
        "one with the same settings by --like (`maskzoo zoo list`)"
    )


def _description(architecture: str, published: PublishedCheckpoint | None) -> str:
    if published is None:
        return f"{architecture}, imported from mmsegmentation"
    return f"{architecture} for {published.dataset}, published by mmsegmentation"


def _check_hash(name: str, checkpoint: Checkpoint) -> None:
    """Compare the hash in a published name, its last eight digits, with the file's."""
    found = _HASH.search(name)
    if found and not checkpoint.sha256.startswith(found[1]):
        raise WeightsError(
            f"{name!r} is damaged or was changed: its sha256 begins with "
            f"{checkpoint.sha256[:8]}, its name says {found[1]}; get the file again"
        )


def _labels(
    envelope: Envelope, published: PublishedCheckpoint | None, num_classes: int
) -> LabelSet:
    names = envelope.classes
    if len(names) != num_classes:
        if published is not None and published.classes == num_classes:
            return published.labels()
        return LabelSet.generic(num_classes)
    background = 0 if names[0] == "background" else None
    try:
        if not envelope.palette:
            return LabelSet.from_names(names, background=background)
        return LabelSet(names=names, colours=envelope.palette, background=background)
    except ValidationError as error:
        mistakes = "; ".join(describe_mistakes(error))
        raise WeightsError(f"the classes in the file are none of maskzoo's: {mistakes}") from None


def _for_rgb(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a network of BGR images for RGB ones: its first channels turned."""
    first = next(key for key in (f"{_STEM}.weight", f"{_STEM}.0.weight") if key in state)
    return {**state, first: state[first].flip(1)}
