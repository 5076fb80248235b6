"""Start the stand-ins as processes on loopback ports of their own."""

import http.client
import importlib
import io
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from waiting import eventually

STANDINS = Path(__file__).parents[3] / "docker" / "standins"
DEADLINE = 10.0  # seconds for anything that takes milliseconds


@dataclass(frozen=True, slots=True)
class Server:
    """A running stand-in: its ports by what they speak, and its folder."""

    process: subprocess.Popen[str]
    ports: Mapping[str, int]
    root: Path

    def kill(self) -> None:
        """Kill it as a power cut of its container would."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.terminate()
        return self.process.wait(DEADLINE)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop its process for a while, as a hang would."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Product:
    """How one stand-in is started."""

    module: str
    package: str
    ports: tuple[str, ...]
    waits_for: tuple[str, ...]
    arguments: Callable[[Path, Mapping[str, int]], list[str]]
    environment: Callable[[Path, Mapping[str, int]], dict[str, str]]
    exit_code: int = 0


def _memgraph_arguments(root: Path, ports: Mapping[str, int]) -> list[str]:
    return [
        f"--data-directory={root}",
        f"--bolt-port={ports['bolt']}",
        f"--monitoring-port={ports['monitoring']}",
        "--bolt-address=127.0.0.1",
        "--storage-wal-enabled=true",
        "--storage-snapshot-interval-sec=300",
        "--storage-snapshot-on-exit=true",
    ]


def _questdb_environment(_: Path, ports: Mapping[str, int]) -> dict[str, str]:
    return {
        "QDB_HTTP_BIND_TO": f"127.0.0.1:{ports['http']}",
        "QDB_HTTP_MIN_NET_BIND_TO": f"127.0.0.1:{ports['health']}",
        "QDB_PG_NET_BIND_TO": f"127.0.0.1:{ports['pg']}",
        "QDB_LINE_TCP_NET_BIND_TO": f"127.0.0.1:{ports['ilp']}",
    }


def _eventstore_environment(root: Path, ports: Mapping[str, int]) -> dict[str, str]:
    return {
        "EVENTSTORE_DB": str(root),
        "EVENTSTORE_DISABLE_LOG_FILE": "true",
        "EVENTSTORE_INSECURE": "true",
        "EVENTSTORE_ENABLE_ATOM_PUB_OVER_HTTP": "true",
        "EVENTSTORE_ENABLE_EXTERNAL_TCP": "true",
        "EVENTSTORE_HTTP_PORT": str(ports["http"]),
        "EVENTSTORE_EXT_TCP_PORT": str(ports["tcp"]),
    }


MEMGRAPH = Product(
    "memgraph_standin",
    "memgraph",
    ("bolt", "monitoring"),
    ("bolt",),
    _memgraph_arguments,
    lambda _, __: {},
)
QUESTDB = Product(
    "questdb_standin",
    "questdb",
    ("http", "health", "pg", "ilp"),
    ("http", "pg"),
    lambda root, _: ["-d", str(root)],
    _questdb_environment,
    exit_code=128 + signal.SIGTERM,
)
EVENTSTORE = Product(
    "eventstore_standin",
    "eventstore",
    ("http", "tcp"),
    ("http",),
    lambda _, __: [],
    _eventstore_environment,
)


@dataclass(slots=True)
class Starter:
    """Starts stand-ins and ends those that still run."""

    started: list[Server] = field(default_factory=list)

    def start(
        self,
        product: Product,
        root: Path,
        *,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Server:
        """Start one and wait until its port answers."""
        ports = dict(zip(product.ports, free_ports(len(product.ports)), strict=True))
        process = spawn(
            product,
            [*product.arguments(root, ports), *arguments],
            product.environment(root, ports) | dict(environment or {}),
        )
        server = Server(process, ports, root)
        self.started.append(server)
        for name in product.waits_for:
            _wait_for_port(server, ports[name])
        return server

    def end(self) -> None:
        """Kill what still runs."""
        for server in self.started:
            if server.process.poll() is None:
                server.kill()
            for stream in (server.process.stdout, server.process.stderr):
                if stream:
                    stream.close()


@contextmanager
def starting() -> Iterator[Starter]:
    """Give a starter whose stand-ins end with the block."""
    starter = Starter()
    try:
        yield starter
    finally:
        starter.end()


def spawn(
    product: Product, arguments: Sequence[str], environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Start the process with nothing in its environment but this."""
    paths = (STANDINS / "common", STANDINS / product.package)
    return subprocess.Popen(
        [sys.executable, "-S", "-m", product.module, *arguments],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def refusal(
    product: Product, arguments: Sequence[str], environment: Mapping[str, str]
) -> tuple[int, str]:
    """Call what should refuse to start: its exit code and what it said."""
    module = importlib.import_module(f"{product.module}.server")
    output = io.StringIO()
    handlers = logging.getLogger().handlers
    kept = handlers[:]
    handlers.clear()
    try:
        with (
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.object(module, "serve_until_stopped", _must_not_serve),
            redirect_stdout(output),
            redirect_stderr(output),
        ):
            code = module.main(list(arguments))
    finally:
        handlers[:] = kept
    return code, output.getvalue()


async def _must_not_serve(*_: object, **__: object) -> None:
    raise AssertionError("it started instead of refusing")


def get(
    server: Server, path: str, *, port: str = "http", timeout: float = DEADLINE
) -> tuple[int, bytes]:
    """Ask for *path*: status and body. Lighter than a client with its TLS."""
    address = f"127.0.0.1:{server.ports[port]}"
    connection = http.client.HTTPConnection(address, timeout=timeout)
    with closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _wait_for_port(server: Server, port: int) -> None:
    def listens() -> bool:
        if server.process.poll() is not None:
            output = server.process.stdout.read() if server.process.stdout else ""
            raise AssertionError(f"ended with {server.process.returncode}: {output}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    eventually(listens)
