"""The web page at `/`, the documentation at `/docs`, and their static files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from fastapi import APIRouter, FastAPI
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

from maskzoo.service.problems import table_of_problems

WEB = Path(__file__).resolve().parents[1] / "web"

router = APIRouter(include_in_schema=False)


@router.get("/")
async def index() -> Response:
    """The page."""
    return _page("index.html")


@router.get("/docs")
async def docs() -> Response:
    """The documentation, rendered from /openapi.json by our script."""
    return _page("docs.html")


@router.get("/docs/problems.json")
async def problems() -> Response:
    """The table of problems, for the documentation."""
    return JSONResponse([asdict(kind) for kind in table_of_problems()])


def mount_files(app: FastAPI) -> None:
    """Serve scripts, styles and sample images under /web."""
    app.mount("/web", StaticFiles(directory=WEB), name="web")


def _page(name: str) -> Response:
    return FileResponse(WEB / name, headers={"Cache-Control": "no-cache"})
