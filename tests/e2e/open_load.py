"""
An open-loop load of its own on a port of the host: what an update must not lose.

As a program, `open_load.py PORT RATE` sends until its standard input ends, and prints
when each answer came and each request failed (seconds of the monotonic clock), why, and
the versions that answered.
"""

import asyncio
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Self

ANSWER_SECONDS = 15.0
SLOW_SECONDS = 2.5
# What is enough to see a request lost, where other tests run beside.
LIGHT = 30.0


@dataclass
class Connection:
    """A connection that may carry more than one request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_open(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()


@dataclass
class Load:
    """
    Sends `rate` requests a second from `start` to `stop`, whatever became of others.

    GET and POST, one half on fresh and one on kept connections, and every now and then
    either for a page that takes seconds; `slow` counts the answers that did. Nothing is
    sent twice. `failures` holds what was wrong with each request that failed.
    """

    host: str
    port: int
    rate: float = LIGHT
    slow_every: int = 97
    sent: int = 0
    slow: int = 0
    begin: float = 0.0
    end: float = 0.0
    failures: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    ends: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    _open: set[int] = field(default_factory=set)
    _kept: list[Connection] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def settle(self) -> None:
        """Wait until every request that was sent before has ended."""
        sent, deadline = self.sent, time.monotonic() + ANSWER_SECONDS * 2
        while any(number < sent for number in list(self._open)):
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def wait_until(self, requests: int) -> None:
        """Go on until *requests* were sent."""
        deadline = time.monotonic() + requests / self.rate * 3 + 60
        while self.sent < requests:
            assert time.monotonic() < deadline, f"{self.sent} of {requests} sent"
            time.sleep(0.1)

    async def _run(self) -> None:
        self.begin, tasks = time.monotonic(), set()
        while not self._stop.is_set():
            due = self.begin + self.sent / self.rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            self._open.add(self.sent)
            task = asyncio.create_task(self._send(self.sent))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            self.sent += 1
        self.end = time.monotonic()
        await asyncio.gather(*tasks)
        self._close()

    async def _send(self, number: int) -> None:
        try:
            await self._exchange(number)
        finally:
            self._open.discard(number)

    async def _exchange(self, number: int) -> None:
        body = b"" if number % 2 else f"body {number}".encode()
        path = "/echo" if body else "/"
        if number % self.slow_every == 1:
            path = "/slow"
        begin = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._answer(path, body, keep=number % 4 > 1)
        except (OSError, EOFError, ValueError, TimeoutError) as broken:
            self._note(f"{'POST' if body else 'GET'} {path}: {broken!r}")
            return
        self.slow += time.monotonic() - begin > SLOW_SECONDS
        self._judge(path, body, *answer)

    async def _answer(
        self, path: str, body: bytes, *, keep: bool
    ) -> tuple[bytes, bytes]:
        """Send one request; return head and body of its answer."""
        connection = await self._connection(keep=keep)
        request = (
            f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: test\r\n"
            f"Connection: {'keep-alive' if keep else 'close'}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        stays = False
        try:
            connection.writer.write(request.encode() + body)
            head = (await connection.reader.readuntil(b"\r\n\r\n")).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
            content = await connection.reader.readexactly(int(length))
            stays = keep and b"connection: close" not in head
        finally:
            if stays:
                self._kept.append(connection)
            else:
                connection.writer.close()
        return head, content

    async def _connection(self, *, keep: bool) -> Connection:
        while keep and self._kept:
            kept = self._kept.pop()
            if kept.is_open:
                return kept
            kept.writer.close()
        return Connection(*await asyncio.open_connection(self.host, self.port))

    def _judge(self, path: str, body: bytes, head: bytes, content: bytes) -> None:
        status = head.split(b" ")[1:2]
        if status != [b"200"] or (body and content != body) or not content:
            self._note(f"{path}: {head[:60]!r} {content[:60]!r}")
            return
        self.ends.append(time.monotonic())
        if path == "/":
            self.versions.add(content.split(b'"')[3].decode())

    def _note(self, failure: str) -> None:
        self.failed.append(time.monotonic())
        self.failures.append(failure)

    def _close(self) -> None:
        for connection in self._kept:
            connection.writer.close()


if __name__ == "__main__":
    with Load("127.0.0.1", int(sys.argv[1]), rate=float(sys.argv[2])) as program:
        sys.stdin.read()
    seen = {
        "ends": program.ends,
        "failed": program.failed,
        "failures": program.failures[:5],
        "versions": sorted(program.versions),
    }
    sys.stdout.write(json.dumps(seen))
