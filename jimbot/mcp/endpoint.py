"""
The endpoint: what arrives by POST, and how it is answered.

Nothing is kept between two requests, so any replica answers any request. The session
id that `initialize` hands out is remembered by nobody: it keeps the ids of one client's
calls apart from another's, and a gateway may send what carries it to one replica, so
that a cancellation finds its call.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Callable, Optional

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from jimbot import __version__
from jimbot.mcp import jsonrpc
from jimbot.mcp.access import Access, RefusedError
from jimbot.mcp.calls import Progress, Tools, call
from jimbot.mcp.jsonrpc import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Object,
    RpcError,
)

logger = logging.getLogger(__name__)

NEWEST, BATCHES = "2025-06-18", "2025-03-26"
VERSIONS = (NEWEST, BATCHES)
BODY_BYTES = 256 * 1024
MOST_IN_A_BATCH = 20
SESSION, VERSION = "mcp-session-id", "mcp-protocol-version"
INSTRUCTIONS = (
    "JimBot's services: a graph in Memgraph, time series in QuestDB, streams of events"
    " in EventStore, and a Ray cluster. Everything but append_event only reads."
)
Answer = Optional[Object]
Key = tuple[str, str, jsonrpc.Id]


class Endpoint:
    """The endpoint of *tools* for whom *access* lets in."""

    def __init__(self, tools: Tools, access: Access) -> None:
        """Serve *tools*; `answer` is the page."""
        self._tools = tools
        self._access = access
        self._running: dict[Key, asyncio.Task[Object]] = {}
        self._methods: Mapping[str, Callable[[Object], Object]] = {
            "initialize": _initialize,
            "ping": lambda _: {},
            "tools/list": self._list,
        }

    async def answer(self, request: Request) -> Response:
        """Answer one POST."""
        try:
            client = self._access.client(request)
            body = await _body(request)
            _negotiate(request)
            message = jsonrpc.decode(body)
            calls = _batch(message, request) or [message]
            self._access.count(client, len(calls))
        except RefusedError as no:
            return _refusal(no.status, None, no.code, str(no), no.headers)
        except RpcError as no:
            return _refusal(400, None, no.code, str(no))
        exchange = _Exchange(self, client, request.headers.get(SESSION))
        if isinstance(message, list):
            return await exchange.batch(calls)
        return await exchange.single(message, streams=_accepts(request, "event-stream"))

    async def handle(
        self, asked: jsonrpc.Request, client: str, session: str | None, report: Progress
    ) -> Answer:
        """
        Return the answer to a message; None for what has none.

        Raises RpcError.
        """
        if asked.is_notification:
            if asked.method == "notifications/cancelled" and session:
                self._cancel((client, session, asked.params.get("requestId")))
            return None
        if asked.method == "tools/call":
            return await self._call(asked, client, session, report)
        if asked.method not in self._methods:
            name = asked.method[:100]
            raise RpcError(METHOD_NOT_FOUND, f"there is no method {name!r}")
        return jsonrpc.success(asked.id, self._methods[asked.method](asked.params))

    def reports_progress(self, asked: jsonrpc.Request) -> bool:
        """Whether this is a call whose tool reports, and whose client wants to know."""
        if asked.method != "tools/call" or _progress_token(asked) is None:
            return False
        return self._tools.find(asked.params)[0].reports_progress

    async def _call(
        self, asked: jsonrpc.Request, client: str, session: str | None, report: Progress
    ) -> Answer:
        tool, arguments = self._tools.find(asked.params)
        task = asyncio.ensure_future(call(tool, arguments, report, client))
        key = (client, session or uuid.uuid4().hex, asked.id)
        self._running[key] = task
        try:
            await asyncio.wait({task})
        finally:
            self._running.pop(key, None)
        return None if task.cancelled() else jsonrpc.success(asked.id, task.result())

    def _cancel(self, key: Key) -> None:
        task = self._running.get(key) if isinstance(key[2], (str, int)) else None
        if task is not None:
            logger.info("%s cancelled a call", key[0])
            task.cancel()

    def _list(self, params: Object) -> Object:
        if params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "there is no further page")
        return {"tools": self._tools.described()}


def _unreported(done: float, total: float) -> None:
    del done, total


class _Exchange:
    """One POST of one client."""

    def __init__(self, endpoint: Endpoint, client: str, session: str | None) -> None:
        self._endpoint, self._client, self._session = endpoint, client, session

    async def single(self, message: object, *, streams: bool) -> Response:
        try:
            asked = jsonrpc.request(message)
        except RpcError as no:
            status = 400 if no.code == INVALID_REQUEST else 200
            return _refusal(status, jsonrpc.identity(message), no.code, str(no))
        if asked is None:
            return Response(status_code=202)
        try:
            if streams and self._endpoint.reports_progress(asked):
                return self._stream(asked)
            answer = await self._answer(asked)
        except RpcError as no:
            return _refusal(200, asked.id, no.code, str(no))
        if answer is None:
            return Response(status_code=202)
        headers = {SESSION: uuid.uuid4().hex} if asked.method == "initialize" else {}
        return _json(answer, headers=headers)

    async def batch(self, messages: Sequence[object]) -> Response:
        answers = await asyncio.gather(*map(self._of_batch, messages))
        found = [answer for answer in answers if answer is not None]
        return _json(found) if found else Response(status_code=202)

    async def _of_batch(self, message: object) -> Answer:
        try:
            asked = jsonrpc.request(message)
            return None if asked is None else await self._answer(asked)
        except RpcError as no:
            return jsonrpc.failure(jsonrpc.identity(message), no.code, str(no))

    def _answer(
        self, asked: jsonrpc.Request, report: Progress = _unreported
    ) -> Awaitable[Answer]:
        return self._endpoint.handle(asked, self._client, self._session, report)

    def _stream(self, asked: jsonrpc.Request) -> Response:
        events: asyncio.Queue[Answer] = asyncio.Queue()
        token = _progress_token(asked)

        def report(done: float, total: float) -> None:
            params = {"progressToken": token, "progress": done, "total": total}
            events.put_nowait(jsonrpc.notification("notifications/progress", params))

        # A task of its own: who loses the connection has not cancelled the call.
        task = asyncio.ensure_future(self._answer(asked, report))
        task.add_done_callback(lambda done: events.put_nowait(_end(asked, done)))
        return StreamingResponse(
            _events(events, task),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )


async def _events(
    events: asyncio.Queue[Answer], task: asyncio.Future[Answer]
) -> AsyncIterator[bytes]:
    while True:
        event = await events.get()
        if event is not None:
            yield b"event: message\ndata: " + jsonrpc.encode(event) + b"\n\n"
        if task.done() and events.empty():
            return


def _end(asked: jsonrpc.Request, task: asyncio.Future[Answer]) -> Answer:
    error = task.exception()
    if isinstance(error, RpcError):
        return jsonrpc.failure(asked.id, error.code, str(error))
    return task.result()


def _initialize(params: Object) -> Object:
    wanted = params.get("protocolVersion")
    if not isinstance(wanted, str):
        raise RpcError(INVALID_PARAMS, "protocolVersion is not a string")
    return {
        "protocolVersion": wanted if wanted in VERSIONS else NEWEST,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "jimbot", "title": "JimBot", "version": __version__},
        "instructions": INSTRUCTIONS,
    }


def _progress_token(asked: jsonrpc.Request) -> Any:
    meta = asked.params.get("_meta")
    token = meta.get("progressToken") if isinstance(meta, dict) else None
    fits = isinstance(token, (str, int)) and not isinstance(token, bool)
    return token if fits else None


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, INVALID_REQUEST, "the body has to be application/json")
    if not _accepts(request, "json"):
        raise RefusedError(406, INVALID_REQUEST, "answers are application/json")
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > BODY_BYTES:
            text = f"the body is longer than {BODY_BYTES} bytes"
            raise RefusedError(413, INVALID_REQUEST, text)
    return bytes(body)


def _accepts(request: Request, kind: str) -> bool:
    accepted = request.headers.get("accept", "*/*").lower()
    major = "text" if kind == "event-stream" else "application"
    return any(
        part.partition(";")[0].strip() in (f"{major}/{kind}", f"{major}/*", "*/*")
        for part in accepted.split(",")
    )


def _negotiate(request: Request) -> None:
    version = request.headers.get(VERSION, BATCHES)
    if version not in VERSIONS:
        supported = ", ".join(VERSIONS)
        text = f"Unsupported protocol version (supported versions: {supported})"
        raise RpcError(INVALID_REQUEST, text)


def _batch(message: object, request: Request) -> Sequence[object]:
    """Return the messages of a batch, which the newer revision does not know."""
    if not isinstance(message, list):
        return []
    if request.headers.get(VERSION, BATCHES) != BATCHES:
        raise RpcError(INVALID_REQUEST, f"{NEWEST} knows no batches")
    if any(isinstance(m, dict) and m.get("method") == "initialize" for m in message):
        raise RpcError(INVALID_REQUEST, "initialize stands alone")
    if not 1 <= len(message) <= MOST_IN_A_BATCH:
        raise RpcError(
            INVALID_REQUEST, f"a batch holds 1 to {MOST_IN_A_BATCH} messages"
        )
    return message


def _json(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    body = jsonrpc.encode(content)
    return Response(body, status, dict(headers or {}), media_type="application/json")


def _refusal(
    status: int,
    number: jsonrpc.Id,
    code: int,
    text: str,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return _json(jsonrpc.failure(number, code, text), status, headers)
