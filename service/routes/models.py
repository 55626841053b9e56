"""What can be asked for: the models of this server."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from maskzoo.service.bundles.engines import describe_engine
from maskzoo.service.bundles.entries import ModelEntry
from maskzoo.service.bundles.manager import ModelManager
from maskzoo.service.responses.documents import hex_colour
from maskzoo.service.schemas import Limits, ModelDetail, ModelList, ModelSummary
from maskzoo.service.state import ServicesDep

router = APIRouter(tags=["models"])


@router.get("/models", summary="List the models and the server's limits")
async def list_models(services: ServicesDep) -> ModelList:
    """Every bundle that was found, also one that failed, with its reason."""
    manager, settings = services.manager, services.settings
    return ModelList(
        models=[ModelSummary(**describe(manager, entry)) for entry in manager.entries.values()],
        default=manager.default_name,
        limits=Limits.model_validate(settings, from_attributes=True),
    )


@router.get("/models/{name}", summary="Describe one model")
async def show_model(name: str, services: ServicesDep) -> ModelDetail:
    """The bundle's record: network, classes, preprocessing, metrics and where it came from."""
    entry = services.manager.entry(name)
    manifest = entry.manifest.model_dump(mode="json") if entry.manifest else None
    return ModelDetail(**describe(services.manager, entry), manifest=manifest)


def describe(manager: ModelManager, entry: ModelEntry) -> dict[str, Any]:
    """Return the fields of a `ModelSummary`."""
    described: dict[str, Any] = {
        "name": entry.name,
        "version": entry.version,
        "aliases": manager.aliases.of(entry.name, entry.full_name),
        "state": entry.state,
        "reason": entry.reason,
        "default": entry.name == manager.default_name,
        "pinned": manager.is_pinned(entry),
        "bytes": entry.num_bytes,
        "engine": None if entry.loaded is None else describe_engine(entry.loaded.predictor),
        "load_s": None if entry.load_s is None else round(entry.load_s, 3),
    }
    if entry.manifest is None:
        return described
    labels, spec = entry.manifest.labels, entry.manifest.spec
    return described | {
        "architecture": spec.architecture,
        "encoder": spec.encoder,
        "background": labels.background,
        "mean_iou": entry.manifest.metrics.get("mean_iou"),
        "classes": [
            {"id": index, "name": name, "colour": hex_colour(colour)}
            for index, (name, colour) in enumerate(zip(labels.names, labels.colours, strict=True))
        ],
    }
