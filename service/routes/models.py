"""`/models`: the models of this server."""

from __future__ import annotations

from fastapi import APIRouter

from maskzoo.service.bundles.summaries import summarise_model
from maskzoo.service.schemas import Limits, ModelDetail, ModelList
from maskzoo.service.state import ModelName, ServicesDep

router = APIRouter(tags=["models"])


@router.get("/models", summary="List the models and the server's limits")
async def list_models(services: ServicesDep) -> ModelList:
    """Every bundle that was found, also one that failed, with its reason."""
    manager, settings = services.manager, services.settings
    return ModelList(
        models=[summarise_model(manager, entry) for entry in manager.entries.values()],
        default=manager.default_name,
        limits=Limits.model_validate(settings, from_attributes=True),
    )


@router.get("/models/{name}", summary="Describe one model")
async def show_model(name: ModelName, services: ServicesDep) -> ModelDetail:
    """The bundle's record: network, classes, preprocessing, metrics and where it came from."""
    entry = services.manager.entry(name)
    manifest = entry.manifest.model_dump(mode="json") if entry.manifest else None
    summary = summarise_model(services.manager, entry)
    return ModelDetail(**dict(summary), manifest=manifest)
