"""A small web server on loopback that notes what it is asked, and may answer badly."""

import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from compose_ops.rollout.policy import ProbeSettings


@dataclass(frozen=True)
class Asked:
    """A request: the connection that it came on, and what it wanted."""

    connection: int
    method: str
    path: str
    body: bytes
    keeps: bool
    host: str = ""


Reply = Callable[[Asked], bytes]
"""Return the bytes of an answer; none at all resets the connection."""


def answer(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def good(asked: Asked) -> bytes:
    return answer(200, asked.body or b"page")


@dataclass
class SmallServer:
    """What was asked, and how it is answered."""

    reply: Reply = good
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def traffic(self) -> ProbeSettings:
        return ProbeSettings(self.port, "/", "/echo", "/health", "", "gateway", "front")

    def handle(self, opened: socket.socket) -> None:
        """Answer what comes on a connection until an end is asked for."""
        self.connections += 1
        number = self.connections
        with opened.makefile("rb") as file:
            while asked := _read(file, number):
                self.asked.append(asked)
                found = self.reply(asked)
                if not found:
                    linger = struct.pack("ii", 1, 0)
                    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    return
                opened.sendall(found)
                if not asked.keeps or found.startswith(b"broken"):
                    return


def _read(file: object, number: int) -> Asked | None:
    lines = iter(lambda: file.readline().strip(), b"")  # type: ignore[attr-defined]
    first, *more = [line.decode() for line in lines] or [""]
    if not first:
        return None
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in more)}
    body = file.read(int(headers.get("content-length", "0")))  # type: ignore[attr-defined]
    method, path, _ = first.split()
    keeps = headers.get("connection") != "close"
    return Asked(number, method, path, body, keeps, headers.get("host", ""))


@contextmanager
def serving(reply: Reply = good) -> Iterator[SmallServer]:
    """Yield a server that answers on a port of loopback."""
    small = SmallServer(reply)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            small.handle(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_words: object) -> None:
            """Say nothing: a client that has gone is what a test wanted."""

    with Server(("127.0.0.1", 0), Handler) as server:
        small.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield small
        finally:
            server.shutdown()
            thread.join()
