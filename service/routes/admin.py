"""Admin routes: load, unload, alias. They exist only if a token is set.

Changes live as long as the service: aliases that are to outlive it belong into the settings. The
fronts of one service pass these routes on to an owner, and all owners make a change together or
none does; several services have to be told one by one.
"""

from __future__ import annotations

import hmac
import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from maskzoo.service.bundles.administration import Change
from maskzoo.service.bundles.summaries import summarise_model
from maskzoo.service.errors import AdminTokenError
from maskzoo.service.schemas import MAX_NAME, ModelSummary, ProblemDocument
from maskzoo.service.state import ModelName, ServicesDep

logger = logging.getLogger(__name__)

_BEARER = HTTPBearer(auto_error=False, description="The server's MASKZOO_ADMIN_TOKEN.")


def require_admin(
    services: ServicesDep,
    given: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> None:
    """Let nobody pass without the token; the time it takes says nothing about it.

    Raises:
        AdminTokenError: it is missing or wrong, or the server has none.
    """
    token = services.settings.admin_token
    sent = given.credentials if given else ""
    right = token.get_secret_value() if token else ""
    if not hmac.compare_digest(sent.encode(), right.encode()) or not right:
        raise AdminTokenError()


router = APIRouter(
    prefix="/admin",
    tags=["admin"],
    dependencies=[Depends(require_admin)],
    responses={
        401: {"model": ProblemDocument, "description": "The token is missing or wrong."},
        404: {"model": ProblemDocument, "description": "No such model."},
    },
)

AliasName = Annotated[str, Path(max_length=64, description="A name that is not a model's.")]


class AliasTarget(BaseModel):
    """What an alias is to mean."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(min_length=1, max_length=MAX_NAME, description="`name` or `name@version`.")


@router.post(
    "/models/{name}/load",
    summary="Load a model",
    response_model=ModelSummary,
    responses={202: {"model": ModelSummary, "description": "It is still loading."}},
)
async def load_model(name: ModelName, services: ServicesDep) -> Response:
    """Load it now, also when it was unloaded or has failed; a failure is in the answer."""
    made = await services.admin.make(Change(do="load", name=name))
    entry = services.manager.entry(name)
    logger.info("event=admin_load model=%s state=%s", entry.name, made.state)
    summary = summarise_model(services.manager, entry)
    found = summary.model_copy(update={"state": made.state, "reason": made.reason})
    status = 202 if made.state == "loading" else 200
    return JSONResponse(found.model_dump(), status_code=status)


@router.post("/models/{name}/unload", summary="Take a model out of service")
async def unload_model(name: ModelName, services: ServicesDep) -> ModelSummary:
    """Free its memory; requests for it are refused until it is loaded again."""
    await services.admin.make(Change(do="unload", name=name))
    entry = services.manager.entry(name)
    logger.info("event=admin_unload model=%s", entry.name)
    return summarise_model(services.manager, entry)


@router.put("/aliases/{alias}", summary="Let an alias mean a model")
async def set_alias(alias: AliasName, target: AliasTarget, services: ServicesDep) -> dict[str, str]:
    """Switch all requests that follow in one step; requests in flight keep their model."""
    await services.admin.make(Change(do="set_alias", name=alias, target=target.model))
    logger.info("event=admin_alias alias=%s model=%s", alias, target.model)
    return services.manager.aliases.table


@router.delete("/aliases/{alias}", summary="Forget an alias")
async def remove_alias(alias: AliasName, services: ServicesDep) -> dict[str, str]:
    """Return the aliases that are left."""
    await services.admin.make(Change(do="remove_alias", name=alias))
    logger.info("event=admin_alias alias=%s model=none", alias)
    return services.manager.aliases.table
