"""
Requests at a steady rate, whatever becomes of them, and what is wrong with each answer.

The update runs `OpenLoop` itself where the ports are on this machine. Where they are on
another one a helper container there runs this file by itself (`python3 -c SOURCE`): a
first line of its standard input says what to send, and the end of it to stop. It
writes a JSON line when it begins and for each request, with times in seconds from then,
and one at the end. It needs the standard library alone.
"""

import asyncio
import json
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

BODILESS = frozenset({204, 304})
ANSWER_SECONDS = 5.0
MAX_HEADERS = 64

Answered = Callable[[float, float, str], object]
"""Gets when a request was due and done, and what was wrong with the answer."""


@dataclass(frozen=True, slots=True)
class ProbeRequest:
    """
    A request of the probe; the answer needs one of `statuses`.

    With `echoes` its body must be that of the request, otherwise it must have one,
    except where the method or the status has none.
    """

    method: str
    path: str
    body: bytes
    statuses: frozenset[int]
    echoes: bool = False

    def judge(self, status: int, content: bytes, sent: bytes = b"") -> str:
        """Return what is wrong with an answer, or nothing; *sent* was the body."""
        if status not in self.statuses:
            return f"{self.method} {self.path} answered {status}"
        if self.echoes and content != sent:
            return f"{self.method} {self.path} answered another body than was sent"
        if not content and self.method != "HEAD" and status not in BODILESS:
            return f"{self.method} {self.path} answered nothing"
        return ""


@dataclass
class _Connection:
    """A connection to the gateway that is kept from request to request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_open(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()


@dataclass
class OpenLoop:
    """
    An open-loop client: request n is due at begin + n/rate, whatever became of others.

    Every other request opens a connection of its own, and every other of each kind is
    an *echo*, where there is one. Nothing is sent twice. `header` is the Host header,
    `name` the server's in TLS, "" for plain HTTP.
    """

    host: str
    port: int
    header: str
    name: str
    page: ProbeRequest
    echo: ProbeRequest | None
    rate: float
    _ended: threading.Event = field(default_factory=threading.Event)
    _kept: list[_Connection] = field(default_factory=list)

    def end(self) -> None:
        """Send nothing more; `run` returns once what is on its way is answered."""
        self._ended.set()

    def run(self, begin: float, answered: Answered) -> None:
        """Send from *begin* on, a time of the monotonic clock, until `end`."""
        asyncio.run(self._send_all(begin, answered))

    async def _send_all(self, begin: float, answered: Answered) -> None:
        sent: set[asyncio.Task[None]] = set()
        number = 0
        while not self._ended.is_set():
            due = begin + number / self.rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            task = asyncio.create_task(self._send(number, due, answered))
            sent.add(task)
            task.add_done_callback(sent.discard)
            number += 1
        await asyncio.gather(*sent)
        for connection in self._kept:
            connection.writer.close()

    async def _send(self, number: int, due: float, answered: Answered) -> None:
        keep, echo = number % 2 == 1, self.echo
        request = echo if echo and number % 4 in {2, 3} else self.page
        body = b"compose-ops %d" % number if request.echoes else request.body
        try:
            exchange = self._exchange(request, body, keep=keep)
            wrong = await asyncio.wait_for(exchange, ANSWER_SECONDS)
        except Exception as broken:  # noqa: BLE001 - each of them is no answer
            wrong = f"{request.method}: {type(broken).__name__}: {broken}"
        answered(due, time.monotonic(), wrong)

    async def _exchange(self, request: ProbeRequest, body: bytes, *, keep: bool) -> str:
        connection = await self._connect(keep=keep)
        stays = False
        try:
            written = _request(request, self.header, body, keep=keep)
            connection.writer.write(written)
            status, content, stays = await _answer(connection.reader, request.method)
        finally:
            if keep and stays:
                self._kept.append(connection)
            else:
                connection.writer.close()
        return request.judge(status, content, body)

    async def _connect(self, *, keep: bool) -> _Connection:
        while keep and self._kept:
            kept = self._kept.pop()
            if kept.is_open:
                return kept
            kept.writer.close()
        secure = self._tls if self.name else None
        return _Connection(
            *await asyncio.open_connection(
                self.host, self.port, ssl=secure, server_hostname=self.name or None
            )
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """TLS without verification: the gateway is addressed by its address."""
        found = ssl.create_default_context()
        found.check_hostname = False
        found.verify_mode = ssl.CERT_NONE
        return found


def _request(request: ProbeRequest, host: str, body: bytes, *, keep: bool) -> bytes:
    lines = [
        f"{request.method} {request.path} HTTP/1.1",
        f"Host: {host}",
        f"Connection: {'keep-alive' if keep else 'close'}",
        "User-Agent: compose-ops",
    ]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader, method: str) -> tuple[int, bytes, bool]:
    """Read one answer: its status, its body, and whether the connection stays."""
    first = (await reader.readuntil(b"\r\n")).split()
    headers: dict[bytes, bytes] = {}
    for _ in range(MAX_HEADERS):
        line = (await reader.readuntil(b"\r\n")).strip()
        if not line:
            break
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    stays = headers.get(b"connection", b"").lower() != b"close"
    if method == "HEAD" or int(first[1]) in BODILESS:
        return int(first[1]), b"", stays
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return int(first[1]), await _chunks(reader), stays
    if b"content-length" in headers:
        length = int(headers[b"content-length"])
        return int(first[1]), await reader.readexactly(length), stays
    return int(first[1]), await reader.read(), False


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    content = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        content += await reader.readexactly(size)
        await reader.readuntil(b"\r\n")
    while (await reader.readuntil(b"\r\n")).strip():
        pass
    return content


def described(loop: OpenLoop) -> dict[str, Any]:
    """Return what `of` makes the same client of, as JSON can hold it."""
    return {
        "host": loop.host,
        "port": loop.port,
        "header": loop.header,
        "name": loop.name,
        "page": _described(loop.page),
        "echo": _described(loop.echo) if loop.echo else None,
        "rate": loop.rate,
    }


def _described(request: ProbeRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "path": request.path,
        "body": request.body.decode("latin-1"),
        "statuses": sorted(request.statuses),
        "echoes": request.echoes,
    }


def of(words: Mapping[str, Any]) -> OpenLoop:
    requests = {kind: words[kind] and _of(words[kind]) for kind in ("page", "echo")}
    return OpenLoop(**{**words, **requests})


def _of(words: Mapping[str, Any]) -> ProbeRequest:
    body, statuses = words["body"].encode("latin-1"), frozenset(words["statuses"])
    return ProbeRequest(**{**words, "body": body, "statuses": statuses})


def main() -> None:
    """Send what the first line of standard input says, until that ends."""
    loop = of(json.loads(sys.stdin.readline()))
    begin = time.monotonic()
    _say({"begun": True})
    sending = threading.Thread(
        target=loop.run,
        args=(
            begin,
            lambda due, done, wrong: _say(
                {"due": due - begin, "done": done - begin, "wrong": wrong}
            ),
        ),
    )
    sending.start()
    sys.stdin.readline()
    spent = time.monotonic() - begin
    loop.end()
    sending.join()
    _say({"spent": spent})


def _say(words: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
