"""The application's pages."""

import logging
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jimbot import __version__
from jimbot.dependencies import questions
from jimbot.draining import Draining
from jimbot.mcp.access import Access
from jimbot.mcp.calls import Tools
from jimbot.mcp.endpoint import Endpoint
from jimbot.ray_connection import RayConnection
from jimbot.readiness import Answer, ask_all
from jimbot.settings import Settings
from jimbot.tools.estimate import estimate_hand
from jimbot.tools.events import append_event, read_events
from jimbot.tools.graph import graph_query
from jimbot.tools.metrics import metrics_query
from jimbot.tools.services import services

Page = Callable[[Request], Awaitable[Response]]
Look = Callable[[], Awaitable[Mapping[str, Any]]]

logger = logging.getLogger(__name__)

MOST_ECHOED = 64 * 1024


def application(settings: Settings, draining: Draining) -> Starlette:
    """
    Return the web application.

    ``/`` tells name, version and environment; ``/health`` whether this process
    should get requests; ``/ready`` whether everything that it depends on answers;
    a POST to ``/echo`` answers with its body, for whoever sends a trial request;
    ``/mcp`` speaks the Model Context Protocol.
    """
    ray = RayConnection(settings.ray_address)
    look = _look(settings, ray, draining)
    endpoint = Endpoint(_tools(settings, ray, look), _access(settings))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        ray.connect()
        yield
        ray.close(seconds=1.0)

    return Starlette(
        routes=[
            Route("/", _about(settings)),
            Route("/health", _health(draining)),
            Route("/ready", _ready(look)),
            Route("/echo", _echo, methods=["POST"]),
            Route("/mcp", endpoint.answer, methods=["POST"]),
        ],
        middleware=[Middleware(ClosingConnections, draining=draining)],
        lifespan=lifespan,
    )


class ClosingConnections:
    """
    While draining, end each connection with the response that it is waiting for.

    A client that kept its connection would lose the next request on it when the
    process stops.
    """

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        """Wrap *app*."""
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining:
                headers = [*message.get("headers", ()), (b"connection", b"close")]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_and_close)


def _about(settings: Settings) -> Page:
    about = {
        "name": "jimbot",
        "version": __version__,
        "environment": settings.environment,
        "claude": {
            "api_key": bool(settings.claude_api_key),
            "rate_limit": settings.claude_rate_limit,
        },
    }

    async def page(request: Request) -> Response:
        del request
        return JSONResponse(about)

    return page


def _health(draining: Draining) -> Page:
    async def page(request: Request) -> Response:
        del request
        if draining:
            return JSONResponse({"status": "draining"}, status_code=503)
        return JSONResponse({"status": "ok"})

    return page


async def _echo(request: Request) -> Response:
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > MOST_ECHOED:
            return JSONResponse({"error": "too long"}, status_code=413)
    return Response(bytes(body), media_type="application/octet-stream")


def _look(settings: Settings, ray: RayConnection, draining: Draining) -> Look:
    asked = questions(settings, ray)

    async def look() -> Mapping[str, Any]:
        answers = await ask_all(asked)
        return {
            "ready": not draining and all(answer.up for answer in answers.values()),
            "draining": bool(draining),
            "dependencies": {name: _shown(answers[name]) for name in answers},
        }

    return look


def _ready(look: Look) -> Page:
    async def page(request: Request) -> Response:
        del request
        found = await look()
        return JSONResponse(found, status_code=200 if found["ready"] else 503)

    return page


def _tools(settings: Settings, ray: RayConnection, look: Look) -> Tools:
    seconds = settings.seconds["call"]
    return Tools(
        [
            services(look, seconds),
            graph_query(settings.memgraph, seconds),
            metrics_query(settings.questdb, seconds),
            append_event(settings.eventstore, seconds),
            read_events(settings.eventstore, seconds),
            estimate_hand(ray, settings.seconds["estimate"]),
        ]
    )


def _access(settings: Settings) -> Access:
    if settings.is_production and not settings.api_tokens:
        logger.warning(
            "nobody can call /mcp: secrets/api_keys.json has no token;"
            " invoke init --prod makes one"
        )
    return Access(
        settings.api_tokens,
        settings.claude_rate_limit,
        is_open=not settings.is_production,
        published_on=settings.published_on,
        origins=settings.origins,
    )


def _shown(answer: Answer) -> Mapping[str, object]:
    shown = {"up": answer.up, "latency_ms": answer.latency_ms}
    return shown if answer.up else {**shown, "reason": answer.reason}
