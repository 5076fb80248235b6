"""The official clients of the Model Context Protocol, as users of the application."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

TOOLS = [
    *("services", "graph_query", "metrics_query"),
    *("append_event", "read_events", "estimate_hand"),
]
HAND = {"held": ["AS", "KS"], "draw": 3, "samples": 6000, "seed": 7}
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("services", {}),
    ("graph_query", {"query": "MATCH (n) RETURN count(n)", "limit": 10}),
    ("metrics_query", {"query": "SELECT 1"}),
    ("append_event", {"stream": "mcp-trial", "type": "tried", "data": {"by": "test"}}),
    ("read_events", {"stream": "mcp-trial", "direction": "backward", "count": 1}),
    ("estimate_hand", HAND),
]
QUICK = [CALLS[1], CALLS[2], CALLS[3], ("estimate_hand", {**HAND, "samples": 500})]
SOURCE = Path(__file__).parent / "typescript"
SECONDS = 60.0
# An answer that broke off leaves the client waiting.
RECONNECT_SECONDS = 0.05
CALL_SECONDS = 20.0


@dataclass(frozen=True)
class Server:
    """Where the application is, and the token that it wants."""

    url: str
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@asynccontextmanager
async def connected(server: Server, mode: str = "legacy") -> AsyncIterator[Client]:
    """Yield the official Python client after its handshake."""
    async with (
        httpx2.AsyncClient(headers=server.headers, timeout=SECONDS) as http,
        Client(streamable_http_client(server.url, http_client=http), mode=mode) as made,
    ):
        yield made


def by_python(server: Server, mode: str = "legacy") -> dict[str, Any]:
    """Initialise, list and call every tool; what came of it."""

    async def run() -> dict[str, Any]:
        reports = 0

        async def count(
            progress: float, total: float | None, message: str | None
        ) -> None:
            nonlocal reports
            del progress, total, message
            reports += 1

        async with connected(server, mode) as client:
            results = {}
            for name, arguments in CALLS:
                result = await client.call_tool(
                    name, arguments, progress_callback=count
                )
                results[name] = outcome(result)
            with pytest.raises(MCPError) as refused:
                await client.call_tool("estimate_hand", {"held": "AS"})
            return {
                "version": client.session.protocol_version,
                "tools": [tool.name for tool in (await client.list_tools()).tools],
                "results": results,
                "progress": reports,
                "refused": str(refused.value),
            }

    return asyncio.run(run())


def outcome(result: Any) -> Any:
    if result.is_error:
        return {"error": result.content[0].text}
    return result.structured_content


@dataclass(frozen=True)
class TypeScript:
    """The official TypeScript client, installed in a folder of its own."""

    folder: Path

    def command(self, server: Server, *words: str) -> list[str]:
        script = str(self.folder / "client.mjs")
        return ["node", script, server.url, server.token, *words]

    def every(self, server: Server) -> dict[str, Any]:
        """Initialise, list and call every tool; what came of it."""
        done = subprocess.run(
            self.command(server, "calls"),
            input=json.dumps(CALLS),
            capture_output=True,
            text=True,
            timeout=SECONDS * 2,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    @contextmanager
    def load(self, server: Server) -> Iterator["Load"]:
        """Call one tool after the other while the block runs."""
        process = subprocess.Popen(
            self.command(server, "load", json.dumps(QUICK)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        load = Load()
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "connected\n"
            yield load
            said, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
            process.wait()
        told = json.loads(said)
        load.made = told["made"]
        load.failures = [Failure(**failure) for failure in told["failures"]]


def installed(folder: Path) -> TypeScript:
    """Install the client as its lock says; without npm, in CI, that is a failure."""
    if shutil.which("npm") is None:
        missing = "no npm: ./scripts/test.sh installs it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return TypeScript(folder)


@dataclass(frozen=True)
class Failure:
    """A call that failed: when it began and ended (seconds since 1970), and why."""

    start: float
    end: float
    call: str
    why: str


@dataclass
class Load:
    """Calls that were made one after the other, and those of them that failed."""

    made: int = 0
    failures: list[Failure] = field(default_factory=list)

    def failed_outside(self, begin: float, end: float) -> list[Failure]:
        """Return the failures of calls that were not under way in between."""
        return [f for f in self.failures if f.end < begin or f.start > end]


class PythonLoad(Load):
    """The official Python client in a thread, calling without pause."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self._server = server
        self._stop, self._connected = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._connected.wait(SECONDS)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, made: int) -> None:
        """Go on until as many calls were made."""
        deadline = time.monotonic() + SECONDS
        while self.made < made:
            assert time.monotonic() < deadline, f"{self.made} of {made} calls made"
            time.sleep(0.05)

    async def _run(self) -> None:
        while not self._stop.is_set():
            start = time.time()
            try:
                async with connected(self._server) as client:
                    self._connected.set()
                    while not self._stop.is_set():
                        start = time.time()
                        await self._call(client, *QUICK[self.made % len(QUICK)])
                        self.made += 1
            except* httpx2.TransportError as broken:
                # This client ends with a connection that broke before an answer.
                why = repr(broken.exceptions)
                self.failures.append(Failure(start, time.time(), "any", why))
                await asyncio.sleep(RECONNECT_SECONDS)

    async def _call(self, client: Client, name: str, arguments: Any) -> None:
        start = time.time()
        try:
            async with asyncio.timeout(CALL_SECONDS):
                result = await client.call_tool(name, arguments)
            why = outcome(result)["error"] if result.is_error else ""
        except (MCPError, TimeoutError) as error:
            why = repr(error)
        if why:
            self.failures.append(Failure(start, time.time(), name, why))
