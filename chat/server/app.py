"""Puts the server together: the gate, the routes, the models behind them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from chat.safety.sources import PictureSources
from chat.server.answers import ModelBody, ModelList
from chat.server.assistant import Assistant
from chat.server.bodies import Body, refusals
from chat.server.completions import completions_router
from chat.server.desk import Desk
from chat.server.errors import Refusal, refusal_of, refuse_fields
from chat.server.guard import OPEN_PATHS, ClientGone, Guard
from chat.server.metrics import CONTENT_TYPE, Metrics
from chat.server.settings import ServerSettings
from chat.server.tool_routes import tools_router
from chat.workbench import Workbench
from lisa import __version__
from lisa.errors import LisaError

_CLIENT_GONE = 499


class Health(Body):
    """How the server is."""

    status: str


def create_app(workbench: Workbench, settings: ServerSettings, sources: PictureSources) -> FastAPI:
    """Return the application; its models are loaded.

    Args:
        workbench: The models.
        settings: What the owner decides.
        sources: Opens the pictures of requests.

    Returns:
        With `state.desk`, by which a server lets requests finish before it ends.

    Raises:
        LisaError: A model cannot be loaded.
    """
    metrics = Metrics()
    desk = Desk(settings, metrics.inside)
    assistant = Assistant(workbench, settings, sources, metrics)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.close()
        assistant.close()

    app = FastAPI(
        title="LISA",
        version=__version__,
        description="Answers questions about pictures and shows the answers as masks.",
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.desk = desk
    app.include_router(completions_router(assistant, desk))
    app.include_router(tools_router(assistant, desk))
    app.include_router(_small_routes(assistant, desk, metrics))
    _handle_errors(app)
    _describe(app, needs_key=settings.key is not None)
    app.add_middleware(Guard, settings=settings, count=metrics.answered)
    if settings.origins:
        # Outside of the gate: browsers ask whether they may send a key before they send it.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type"],
        )
    return app


def _small_routes(assistant: Assistant, desk: Desk, metrics: Metrics) -> APIRouter:
    router = APIRouter()
    model = ModelBody(id=assistant.settings.name, created=int(time.time()))

    @router.get("/v1/models", responses=refusals())
    async def models() -> ModelList:
        """List the models."""
        return ModelList(data=[model])

    @router.get("/v1/models/{name:path}", responses=refusals(404))
    async def one_model(name: str) -> ModelBody:
        """Describe one model."""
        assistant.check_model(name)
        return model

    @router.get("/healthz")
    async def healthz() -> Health:
        """Tell whether the process is alive."""
        return Health(status="ok")

    @router.get("/readyz", responses=refusals())
    async def readyz() -> Health:
        """Tell whether the server takes requests; 503 while it stops."""
        if desk.is_draining:
            raise Refusal(503, "the server is stopping.", "stopping")
        return Health(status="ok")

    @router.get("/metrics", responses={200: {"content": {"text/plain": {}}}, **refusals()})
    async def read_metrics() -> Response:
        """Counters for Prometheus."""
        return Response(metrics.text(), headers={"content-type": CONTENT_TYPE})

    return router


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Refusal)
    @app.exception_handler(LisaError)
    @app.exception_handler(Exception)
    async def refuse(request: Request, error: Exception) -> Response:
        return _refused(refusal_of(error))

    @app.exception_handler(RequestValidationError)
    async def refuse_body(request: Request, error: RequestValidationError) -> Response:
        return _refused(refuse_fields(error.errors()))

    @app.exception_handler(HTTPException)
    async def refuse_path(request: Request, error: HTTPException) -> Response:
        # The framework's own: no such path, no such method, a body that nobody can parse.
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "bad_request")
        response = _refused(Refusal(error.status_code, f"{error.detail}.", code))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ClientGone)
    async def say_nothing(request: Request, error: ClientGone) -> Response:
        return Response(status_code=_CLIENT_GONE)


def _describe(app: FastAPI, *, needs_key: bool) -> None:
    """Make the description true: refusals are never 422, and a key may be due."""
    described = app.openapi()
    for path in described["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        described["components"]["schemas"].pop(name, None)
    if needs_key:
        described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        described["security"] = [{"key": []}]
        for path in OPEN_PATHS:
            described["paths"][path]["get"]["security"] = []


def _refused(refusal: Refusal) -> Response:
    return JSONResponse(refusal.body, refusal.status, refusal.headers)
