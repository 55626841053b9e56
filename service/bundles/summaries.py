"""Summaries of models for clients: labels, engine, scores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from maskzoo.models.bundles.records import Provenance
from maskzoo.models.labels import LabelSet
from maskzoo.models.preprocessing import Bands
from maskzoo.service.schemas import BandSummary, ClassSummary, EngineSummary, ModelSummary

if TYPE_CHECKING:
    from maskzoo.service.bundles.entries import ModelEntry
    from maskzoo.service.bundles.manager import ModelManager

_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/:]+/)+")


def summarise_model(manager: ModelManager, entry: ModelEntry) -> ModelSummary:
    """Return the line of `GET /models` for one bundle."""
    manifest = entry.manifest
    return ModelSummary(
        name=entry.name,
        version=entry.version,
        aliases=manager.aliases.of(entry.name, entry.full_name),
        state=entry.state,
        reason=entry.reason,
        pinned=manager.is_pinned(entry),
        bytes=entry.num_bytes,
        engine=None if entry.loaded is None else summarise_engine(entry.loaded.predictor),
        default=entry.name == manager.default_name,
        architecture=None if manifest is None else manifest.spec.architecture,
        encoder=None if manifest is None else manifest.spec.encoder,
        classes=[] if manifest is None else summarise_classes(manifest.labels),
        background=None if manifest is None else manifest.labels.background,
        bands=None if manifest is None else summarise_bands(manifest.preprocessing.bands),
        mean_iou=None if manifest is None else manifest.metrics.mean_iou,
        licence=None if manifest is None else manifest.provenance.weights_licence,
        origin=None if manifest is None else summarise_origin(manifest.provenance),
        load_s=None if entry.load_s is None else round(entry.load_s, 3),
    )


def summarise_origin(provenance: Provenance) -> str | None:
    """Return the file that a bundle was imported from, or else the data it was trained on."""
    source = provenance.imported_from
    if source is not None and source.file:
        return f"{source.library or 'imported'}, {source.file}"
    return None if provenance.data is None else f"trained on {provenance.data}"


def summarise_classes(labels: LabelSet) -> list[ClassSummary]:
    """Return the classes of a model in the order of their ids."""
    return [
        ClassSummary(id=index, name=name, colour=f"#{bytes(colour).hex()}")
        for index, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True))
    ]


def summarise_bands(bands: Bands | None) -> list[BandSummary] | None:
    """Return the bands that a model takes, in its order."""
    if bands is None:
        return None
    return [BandSummary(number=band.number, name=band.name) for band in bands.channels]


def summarise_engine(predictor: Any) -> EngineSummary | None:
    """Return what runs a model; None where the predictor shows no engine.

    Folders of the server do not concern its clients and are left out of the reason.
    """
    engine = getattr(predictor, "engine", None)
    if engine is None:
        return None
    choice = engine.choice
    return EngineSummary(
        name=engine.name,
        precision=engine.precision,
        weights=choice.weights if choice else "fp32",
        device=str(engine.device),
        reason=_FOLDERS.sub("", choice.reason) if choice else "it was built by hand",
    )
