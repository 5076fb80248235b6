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
SLOW_EVERY = 97
RATE = 110.0


@dataclass
class Load:
    """
    Sends `rate` requests a second from `start` to `stop`, whatever became of others.

    GET and POST on fresh connections, and every now and then a page that takes
    seconds. `failures` holds what was wrong with each request that failed.
    `benchmarks/rolling` says which part the usual rate is of what a machine can do.
    """

    host: str
    port: int
    rate: float = RATE
    sent: int = 0
    slow: int = 0
    failures: list[str] = field(default_factory=list)
    versions: set[str] = field(default_factory=set)
    ends: list[float] = field(default_factory=list)
    failed: list[float] = field(default_factory=list)
    _open: set[int] = field(default_factory=set)
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
        begin, tasks = time.monotonic(), set()
        while not self._stop.is_set():
            due = begin + self.sent / self.rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            self._open.add(self.sent)
            task = asyncio.create_task(self._send(self.sent))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            self.sent += 1
        await asyncio.gather(*tasks)

    async def _send(self, number: int) -> None:
        try:
            await self._exchange(number)
        finally:
            self._open.discard(number)

    async def _exchange(self, number: int) -> None:
        body = b"" if number % 2 else f"body {number}".encode()
        path = "/echo" if body else "/"
        if number % SLOW_EVERY == 1:
            path, self.slow = "/slow", self.slow + 1
        request = (
            f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: test\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                writer.write(request)
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError) as broken:
            self._note(f"{path}: {broken!r}")
            return
        self._judge(path, body, answer)

    def _judge(self, path: str, body: bytes, answer: bytes) -> None:
        head, _, content = answer.partition(b"\r\n\r\n")
        status = head.split(b" ")[1:2]
        if status != [b"200"] or (body and content != body) or not content:
            self._note(f"{path}: {answer[:60]!r}")
            return
        self.ends.append(time.monotonic())
        if path == "/":
            self.versions.add(content.split(b'"')[3].decode())

    def _note(self, failure: str) -> None:
        self.failed.append(time.monotonic())
        self.failures.append(failure)


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
