"""The application's pages."""

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from typing import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jimbot import __version__
from jimbot.dependencies import questions
from jimbot.draining import Draining
from jimbot.ray_connection import RayConnection
from jimbot.readiness import Answer, ask_all
from jimbot.settings import Settings

Page = Callable[[Request], Awaitable[Response]]

MOST_ECHOED = 64 * 1024


def application(settings: Settings, draining: Draining) -> Starlette:
    """
    Return the web application.

    ``/`` tells name, version and environment; ``/health`` whether this process
    should get requests; ``/ready`` whether everything that it depends on answers;
    a POST to ``/echo`` answers with its body, for whoever sends a trial request.
    """
    ray = RayConnection(settings.ray_address)

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
            Route("/ready", _ready(settings, ray, draining)),
            Route("/echo", _echo, methods=["POST"]),
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


def _ready(settings: Settings, ray: RayConnection, draining: Draining) -> Page:
    asked = questions(settings, ray)

    async def page(request: Request) -> Response:
        del request
        answers = await ask_all(asked)
        ready = not draining and all(answer.up for answer in answers.values())
        body = {
            "ready": ready,
            "draining": bool(draining),
            "dependencies": {name: _shown(answers[name]) for name in answers},
        }
        return JSONResponse(body, status_code=200 if ready else 503)

    return page


def _shown(answer: Answer) -> Mapping[str, object]:
    shown = {"up": answer.up, "latency_ms": answer.latency_ms}
    return shown if answer.up else {**shown, "reason": answer.reason}
