"""`append_event` and `read_events`: streams in EventStore, over AtomPub."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx

from jimbot.dependencies import eventstore_client
from jimbot.mcp.calls import Progress, Tool, ToolError
from jimbot.mcp.jsonrpc import encode
from jimbot.settings import Server

ANSWER_BYTES = 4 * 1024 * 1024
EXPECTED = {"any": -2, "no_stream": -1}
STREAM = {
    "type": "string",
    "pattern": r"^[^$\s/\x00-\x1f\x7f][^\s/\x00-\x1f\x7f]{0,199}$(?!\n)",
    "description": "Its name; one that begins with $ is the store's own.",
}
REVISION = {"type": "integer", "minimum": 0, "maximum": 2**53}


def append_event(server: Server, seconds: float) -> Tool:
    """Return the tool that appends to streams of *server*, within *seconds*."""

    async def run(arguments: Mapping[str, Any], report: Progress) -> Mapping[str, Any]:
        del report
        return await append(server, arguments)

    return Tool(
        name="append_event",
        title="Append an event",
        description=(
            "Append one event to a stream in EventStore. expected_revision is the"
            " number of the stream's last event, no_stream, or any; where that is not"
            " so, nothing is written. The same event_id again writes nothing twice."
        ),
        service="eventstore",
        input={
            "type": "object",
            "properties": {
                "stream": STREAM,
                "type": {"type": "string", "minLength": 1, "maxLength": 200},
                "data": {"type": "object"},
                "expected_revision": {
                    "anyOf": [REVISION, {"enum": list(EXPECTED)}],
                    "default": "any",
                },
                "event_id": {"type": "string", "pattern": "^[0-9a-fA-F-]{36}$"},
            },
            "required": ["stream", "type", "data"],
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {
                "stream": {"type": "string"},
                "revision": {"type": "integer"},
                "event_id": {"type": "string"},
            },
            "required": ["stream", "revision", "event_id"],
        },
        seconds=seconds,
        run=run,
        is_read_only=False,
    )


def read_events(server: Server, seconds: float) -> Tool:
    """Return the tool that reads streams of *server*, within *seconds*."""

    async def run(arguments: Mapping[str, Any], report: Progress) -> Mapping[str, Any]:
        del report
        return await read(server, arguments)

    return Tool(
        name="read_events",
        title="Read events",
        description=(
            "Read events of a stream in EventStore: forward from from_revision (0 is"
            " the first), or backward, without from_revision from the newest."
        ),
        service="eventstore",
        input={
            "type": "object",
            "properties": {
                "stream": STREAM,
                "direction": {"enum": ["forward", "backward"], "default": "forward"},
                "from_revision": REVISION,
                "count": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": 100,
                    "default": 20,
                },
            },
            "required": ["stream"],
            "additionalProperties": False,
        },
        output={
            "type": "object",
            "properties": {
                "stream": {"type": "string"},
                "events": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "revision": {"type": "integer"},
                            "event_id": {"type": "string"},
                            "type": {"type": "string"},
                            "data": {},
                            "created": {"type": "string"},
                        },
                        "required": ["revision", "event_id", "type", "data", "created"],
                    },
                },
            },
            "required": ["stream", "events"],
        },
        seconds=seconds,
        run=run,
    )


async def append(server: Server, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Append one event; return its revision."""
    stream, wanted = arguments["stream"], arguments.get("expected_revision", "any")
    event_id = _uuid(arguments.get("event_id"))
    event = {
        "eventId": event_id,
        "eventType": arguments["type"],
        "data": arguments["data"],
    }
    headers = {
        "Content-Type": "application/vnd.eventstore.events+json",
        "ES-ExpectedVersion": str(EXPECTED.get(wanted, wanted)),
    }
    url = f"/streams/{quote(stream, safe='')}"
    async with _asked(server, "POST", url, headers, encode([event])) as answer:
        current = answer.headers.get("ES-CurrentVersion")
        if answer.status_code == httpx.codes.BAD_REQUEST and current is not None:
            at = "has no event" if int(current) < 0 else f"is at revision {current}"
            raise ToolError(f"eventstore: the stream {stream} {at}, not {wanted}")
        _expect(answer, httpx.codes.CREATED)
        revision = int(answer.headers["Location"].rsplit("/", 1)[1])
    return {"stream": stream, "revision": revision, "event_id": event_id}


async def read(server: Server, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return events of a stream, in the order that was asked for."""
    stream = arguments["stream"]
    direction = arguments.get("direction", "forward")
    begin = arguments.get("from_revision", 0 if direction == "forward" else "head")
    url = (
        f"/streams/{quote(stream, safe='')}/{begin}/{direction}"
        f"/{arguments.get('count', 20)}?embed=body"
    )
    accept = {"Accept": "application/vnd.eventstore.atom+json"}
    async with _asked(server, "GET", url, accept) as answer:
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise ToolError(f"eventstore: there is no stream {stream}")
        _expect(answer, httpx.codes.OK)
        page = await _page(answer)
    events = sorted(map(_event, page["entries"]), key=lambda event: event["revision"])
    return {
        "stream": stream,
        "events": events if direction == "forward" else events[::-1],
    }


def _event(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    data = entry.get("data")
    return {
        "revision": entry["eventNumber"],
        "event_id": entry["eventId"],
        "type": entry["eventType"],
        "data": _data(data) if entry.get("isJson") and data else data,
        "created": entry["updated"],
    }


def _data(text: str) -> Any:
    # Python reads NaN and Infinity where JSON has none, and nobody could send them on.
    return json.loads(text, parse_constant=lambda _: None)


@asynccontextmanager
async def _asked(
    server: Server,
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> AsyncIterator[httpx.Response]:
    client = eventstore_client(server)
    async with (
        client,
        client.stream(method, url, headers=headers, content=content) as answer,
    ):
        yield answer


async def _page(answer: httpx.Response) -> Mapping[str, Any]:
    body = bytearray()
    async for block in answer.aiter_bytes():
        body += block
        if len(body) > ANSWER_BYTES:
            raise ToolError("eventstore: the events are too large: ask for fewer")
    page: Mapping[str, Any] = json.loads(body)
    return page


def _expect(answer: httpx.Response, status: int) -> None:
    if answer.status_code == status:
        return
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise ToolError("eventstore does not let the application in: its password")
    raise ToolError(f"eventstore answered with status {answer.status_code}")


def _uuid(given: str | None) -> str:
    try:
        return str(uuid.UUID(given) if given else uuid.uuid4())
    except ValueError as error:
        raise ToolError(f"event_id is not a UUID: {given}") from error
