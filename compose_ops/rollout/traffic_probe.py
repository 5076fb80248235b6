"""Requests through the gateway at a steady rate, from before an update to after it."""

import asyncio
import ssl
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property

from compose_ops.rollout.policy import BODILESS, ProbeRequest, ProbeSettings
from compose_ops.rollout.replica_probe import ANSWER_SECONDS
from compose_ops.rollout.statistics import Request, TrafficReport, proof

RATE, LEAST_RATE = 60.0, 50.0
MAX_HEADERS = 64


@dataclass
class _Connection:
    """A connection to the gateway that is kept from request to request."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def is_open(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()


@dataclass
class TrafficProbe:
    """
    An open-loop client: request n is due at begin + n/rate, whatever became of others.

    Every other request opens a connection of its own, and every other of each kind is
    a POST whose answer must repeat its body. Nothing is sent twice. Whatever comes
    instead of an answer is a failure, and so is a client that sends too little.
    """

    host: str
    port: int
    traffic: ProbeSettings
    rate: float = RATE
    requests: list[Request] = field(default_factory=list)
    begin: float = 0.0
    change: float = 0.0
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _kept: list[_Connection] = field(default_factory=list)

    def start(self) -> None:
        self.begin = self.change = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def mark_change(self) -> None:
        """Note that the first step begins now."""
        self.change = time.monotonic()

    def stop(self) -> TrafficReport:
        """Send nothing more, wait for what is on its way, and sum up."""
        spent = time.monotonic() - self.begin if self._thread else 0.0
        self._ended.set()
        if self._thread:
            self._thread.join()
        return self._sum(int(spent * LEAST_RATE))

    def summary(self) -> TrafficReport:
        """Return the sum up to now, whatever is on its way."""
        return self._sum(0)

    def _sum(self, least: int) -> TrafficReport:
        sent = list(self.requests)
        return proof(sent, begin=self.begin, change=self.change, least=least)

    def failure(self) -> str:
        """Return what was wrong with the first request that failed, or nothing."""
        return next((r.wrong for r in list(self.requests) if r.wrong), "")

    def _run(self) -> None:
        asyncio.run(self._send_all())

    async def _send_all(self) -> None:
        sent: set[asyncio.Task[None]] = set()
        number = 0
        while not self._ended.is_set():
            due = self.begin + number / self.rate
            await asyncio.sleep(max(due - time.monotonic(), 0))
            task = asyncio.create_task(self._send(number, due))
            sent.add(task)
            task.add_done_callback(sent.discard)
            number += 1
        await asyncio.gather(*sent)
        for connection in self._kept:
            connection.writer.close()

    async def _send(self, number: int, due: float) -> None:
        keep, echo = number % 2 == 1, self.traffic.echo
        request = echo if echo and number % 4 in {2, 3} else self.traffic.page
        body = b"compose-ops %d" % number if request.echoes else request.body
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                wrong = await self._exchange(request, body, keep=keep)
        except Exception as broken:  # noqa: BLE001 - each of them is no answer
            wrong = f"{request.method}: {type(broken).__name__}: {broken}"
        self.requests.append(Request(due=due, done=time.monotonic(), wrong=wrong))

    async def _exchange(self, request: ProbeRequest, body: bytes, *, keep: bool) -> str:
        connection = await self._connect(keep=keep)
        stays = False
        try:
            host = self.traffic.host_header(self.host, self.port)
            connection.writer.write(_request(request, host, body, keep=keep))
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
        secure = self._tls if self.traffic.scheme == "https" else None
        name = self.traffic.host or self.host if secure else None
        return _Connection(
            *await asyncio.open_connection(
                self.host, self.port, ssl=secure, server_hostname=name
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
