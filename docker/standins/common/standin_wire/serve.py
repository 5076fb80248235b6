"""TCP listeners of one process that end together on SIGTERM or SIGINT."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ssl import SSLContext, SSLError

ConnectionHandler = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]
]

_HANG_UPS = (ConnectionError, asyncio.IncompleteReadError, SSLError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port and the coroutine that talks to each connection on it."""

    port: int
    handle: ConnectionHandler
    host: str = "0.0.0.0"  # noqa: S104 - a container's port is closed by its network
    tls: SSLContext | None = None


async def serve_until_stopped(
    endpoints: Sequence[Endpoint], *, ready: Callable[[], None] = lambda: None
) -> signal.Signals:
    """
    Serve every endpoint, call *ready* once all listen, return the signal.

    Raises OSError when a port is taken; nothing listens then.
    """
    stopped: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _stop, stopped, number)
    connections: set[asyncio.Task[None]] = set()
    servers: list[asyncio.Server] = []
    try:
        servers.extend([await _listen(endpoint, connections) for endpoint in endpoints])
        ready()
        return await stopped
    finally:
        for server in servers:
            server.close()
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


def _stop(stopped: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    if not stopped.done():
        stopped.set_result(number)


async def _listen(
    endpoint: Endpoint, connections: set[asyncio.Task[None]]
) -> asyncio.Server:
    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this in a task
        connections.add(task)
        try:
            await endpoint.handle(reader, writer)
        except _HANG_UPS:
            pass  # the client went away: its own business
        finally:
            connections.discard(task)
            with suppress(*_HANG_UPS):
                writer.close()

    return await asyncio.start_server(
        connected, endpoint.host, endpoint.port, ssl=endpoint.tls
    )
