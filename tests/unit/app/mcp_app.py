"""The protocol's endpoint in this process, with tools that do what a test needs."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import Route

from jimbot.mcp.access import Access
from jimbot.mcp.calls import Progress, Tool, ToolError, Tools
from jimbot.mcp.endpoint import Endpoint

TOKEN = "a-token-of-the-tests-alone"
NEWEST, OLDER = "2025-06-18", "2025-03-26"
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "Authorization": f"Bearer {TOKEN}",
    "Content-Type": "application/json",
}
OBJECT = {"type": "object"}


@dataclass
class World:
    """Three tools: `add` adds, `count` reports as it counts, `wait` never ends."""

    limit: int = 1000
    is_open: bool = False
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    def app(self) -> Starlette:
        numbers = {"type": "array", "items": {"type": "integer"}}
        schema = {
            "type": "object",
            "properties": {"numbers": numbers},
            "required": ["numbers"],
            "additionalProperties": False,
        }
        tools = Tools(
            [
                self._tool("add", self._add, schema),
                self._tool("count", self._count, reports_progress=True),
                self._tool("wait", self._wait, reports_progress=True),
                self._tool("short", self._wait, seconds=0.05),
                self._tool("broken", self._broken),
                self._tool("large", self._large),
                self._tool("odd", self._odd),
            ]
        )
        access = Access(
            {"trial": TOKEN, "other": TOKEN + "2"},
            self.limit,
            is_open=self.is_open,
            published_on="127.0.0.1",
            origins=["https://ours.example"],
        )
        page = Endpoint(tools, access).answer
        return Starlette(routes=[Route("/mcp", page, methods=["POST"])])

    def _tool(
        self,
        name: str,
        run: Any,
        schema: Mapping[str, Any] = OBJECT,
        *,
        seconds: float = 10,
        reports_progress: bool = False,
    ) -> Tool:
        return Tool(
            name=name,
            title=name,
            description=name,
            service="the store",
            input=schema,
            output=OBJECT,
            seconds=seconds,
            run=run,
            reports_progress=reports_progress,
        )

    async def _add(self, arguments: Mapping[str, Any], _: Progress) -> Any:
        if sum(arguments["numbers"]) < 0:
            raise ToolError("the store has no negative numbers")
        return {"sum": sum(arguments["numbers"])}

    async def _count(self, _: Mapping[str, Any], report: Progress) -> Any:
        for number in (1, 2, 3):
            report(number, 3)
        return {"counted": 3}

    async def _wait(self, _: Mapping[str, Any], __: Progress) -> Any:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled += 1

    async def _broken(self, _: Mapping[str, Any], __: Progress) -> Any:
        raise OSError("connection refused\nTraceback (most recent call last):")

    async def _odd(self, _: Mapping[str, Any], __: Progress) -> Any:
        return {"number": float("nan")}

    async def _large(self, _: Mapping[str, Any], __: Progress) -> Any:
        return {"text": "x" * 600_000}


def request(method: str, number: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


def call(tool: str, number: Any = 1, token: Any = None, **arguments: Any) -> Any:
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    return request("tools/call", number, name=tool, arguments=arguments, **meta)


def client(app: Starlette, **headers: str | None) -> httpx.AsyncClient:
    """Return a client; a header that is None is left out, `_` stands for `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    names = {name.lower() for name in given}
    kept = {n: v for n, v in HEADERS.items() if n.lower() not in names}
    kept |= {name: value for name, value in given.items() if value is not None}
    return httpx.AsyncClient(
        base_url="http://localhost",
        transport=httpx.ASGITransport(app, client=("172.20.0.1", 4000)),
        headers=[(n.encode(), v.encode("latin-1")) for n, v in kept.items()],
    )


def post(world: World, message: Any, **headers: str | None) -> httpx.Response:
    """Send one message, or bytes as they are."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()

    async def exchange() -> httpx.Response:
        async with client(world.app(), **headers) as open_client:
            return await open_client.post("/mcp", content=body)

    return asyncio.run(exchange())


def events(text: str) -> list[Any]:
    """Return the messages of an event stream."""
    return [
        json.loads(line.removeprefix("data: "))
        for line in text.splitlines()
        if line.startswith("data: ")
    ]
