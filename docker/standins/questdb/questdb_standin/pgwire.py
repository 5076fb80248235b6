"""The PostgreSQL wire protocol 3.0: password in clear text, simple and extended."""

import asyncio
import hmac
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from questdb_standin.database import Database
from questdb_standin.pgmessages import (
    complete,
    data_row,
    failure,
    message,
    row_description,
)
from questdb_standin.pgvalues import OIDS, decode_parameter
from questdb_standin.sql import (
    Answer,
    Work,
    returns_rows,
    run_sql,
    split_statements,
)
from questdb_standin.sql_rows import SqlError

_SSL_REQUEST, _GSS_REQUEST, _CANCEL = 80877103, 80877104, 80877102
_MESSAGE_MAX = 16 * 1024 * 1024
_GREETING = {
    "TimeZone": "GMT",
    "application_name": "QuestDB",
    "server_version": "11.3",
    "integer_datetimes": "on",
    "client_encoding": "UTF8",
}


class NotSpokenError(Exception):
    """Bytes that are no message of this protocol."""


@dataclass(frozen=True, slots=True)
class Login:
    """The one user who may enter."""

    user: str
    password: str


@dataclass(slots=True)
class Portal:
    """A bound statement; its answer once it ran, and the rows sent so far."""

    statement: str
    parameters: list[Any]
    answer: Answer | None = None
    sent: int = 0


@dataclass(slots=True)
class Session:
    """One connection after the login."""

    work: Work
    statements: dict[str, tuple[str, list[int]]] = field(default_factory=dict)
    portals: dict[str, Portal] = field(default_factory=dict)
    failed: bool = False
    skipping: bool = False

    def replies(self, kind: bytes, body: bytes) -> Iterator[bytes]:
        """Return the messages that answer one message. Raises NotSpokenError."""
        if kind == b"S":
            self.skipping = False
            yield self._ready()
        elif self.skipping:
            return
        elif kind == b"Q":
            yield from self._simple(_text(body, 0)[0])
        elif kind != b"H":
            try:
                yield from self._extended(kind, body)
            except SqlError as error:
                self.skipping = True
                self.failed = self.work.open
                yield failure(str(error), error.position)

    def _simple(self, text: str) -> Iterator[bytes]:
        try:
            for statement in split_statements(text):
                answer = self._execute(statement, ())
                if answer.columns:
                    yield row_description(answer)
                    yield from map(data_row(answer), answer.rows)
                yield complete(answer, len(answer.rows))
            if not text.strip("; \n\t"):
                yield message(b"I")
        except SqlError as error:
            self.failed = self.work.open
            yield failure(str(error), error.position)
        yield self._ready()

    def _extended(self, kind: bytes, body: bytes) -> Iterator[bytes]:
        match kind:
            case b"P":
                self._parse(body)
                yield message(b"1")
            case b"B":
                self._bind(body)
                yield message(b"2")
            case b"D":
                yield from self._describe(body)
            case b"E":
                yield from self._execute_portal(body)
            case b"C":
                kept = self.statements if body[:1] == b"S" else self.portals
                kept.pop(_text(body, 1)[0], None)
                yield message(b"3")
            case _:
                raise NotSpokenError

    def _parse(self, body: bytes) -> None:
        name, at = _text(body, 0)
        statement, at = _text(body, at)
        (count,) = struct.unpack_from(">H", body, at)
        oids = struct.unpack_from(f">{count}I", body, at + 2)
        self.statements[name] = (statement, list(oids))

    def _bind(self, body: bytes) -> None:
        portal, at = _text(body, 0)
        name, at = _text(body, at)
        statement, oids = self._statement(name)
        (count,) = struct.unpack_from(">H", body, at)
        formats = struct.unpack_from(f">{count}H", body, at + 2)
        at += 2 + 2 * count
        values = list(_raw_values(body, at))
        parameters = [
            decode_parameter(
                data,
                oid=oids[place] if place < len(oids) else 0,
                binary=bool(_of_place(formats, place)),
            )
            for place, data in enumerate(values)
        ]
        self.portals[portal] = Portal(statement, parameters)

    def _describe(self, body: bytes) -> Iterator[bytes]:
        name, _ = _text(body, 1)
        if body[:1] == b"S":
            statement, oids = self._statement(name)
            known = [oid or OIDS["STRING"] for oid in oids]
            yield message(b"t", struct.pack(f">H{len(known)}I", len(known), *known))
            portal = Portal(statement, [None] * len(oids))
        else:
            portal = self._portal(name)
        if not returns_rows(portal.statement):
            yield message(b"n")
            return
        yield row_description(self._answer(portal))

    def _execute_portal(self, body: bytes) -> Iterator[bytes]:
        name, at = _text(body, 0)
        (limit,) = struct.unpack_from(">I", body, at)
        portal = self._portal(name)
        if not portal.statement.strip("; \n\t"):
            yield message(b"I")
            return
        answer = self._answer(portal)
        rows = answer.rows[portal.sent :]
        chosen = rows[: limit or None]
        portal.sent += len(chosen)
        yield from map(data_row(answer), chosen)
        more = len(chosen) < len(rows)
        yield message(b"s") if more else complete(answer, len(chosen))

    def _answer(self, portal: Portal) -> Answer:
        if portal.answer is None:
            portal.answer = self._execute(portal.statement, portal.parameters)
        return portal.answer

    def _execute(self, statement: str, parameters: Sequence[Any]) -> Answer:
        ends = statement.strip().lower().startswith(("rollback", "commit"))
        if self.failed and not ends:
            raise SqlError(
                "current transaction is aborted, commands ignored until ROLLBACK"
            )
        if self.failed:
            statement = "ROLLBACK"
            self.failed = False
        return run_sql(self.work, statement, parameters)

    def _statement(self, name: str) -> tuple[str, list[int]]:
        if name not in self.statements:
            raise SqlError(f"prepared statement does not exist: {name}")
        return self.statements[name]

    def _portal(self, name: str) -> Portal:
        if name not in self.portals:
            raise SqlError(f"portal does not exist: {name}")
        return self.portals[name]

    def _ready(self) -> bytes:
        status = b"E" if self.failed else b"T" if self.work.open else b"I"
        return message(b"Z", status)


def _text(body: bytes, at: int) -> tuple[str, int]:
    end = body.index(b"\0", at)
    return body[at:end].decode(), end + 1


def _raw_values(body: bytes, at: int) -> Iterator[bytes | None]:
    (count,) = struct.unpack_from(">H", body, at)
    at += 2
    for _ in range(count):
        (size,) = struct.unpack_from(">i", body, at)
        at += 4
        yield None if size < 0 else body[at : at + size]
        at += max(size, 0)


def _of_place(formats: Sequence[int], place: int) -> int:
    if len(formats) <= 1:
        return formats[0] if formats else 0
    return formats[place]


async def talk_pg(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    database: Database,
    login: Login,
) -> None:
    """Serve one connection from the start-up message to Terminate."""
    if not await _enter(reader, writer, login):
        return
    session = Session(Work(database))
    try:
        while (received := await _receive(reader))[0] != b"X":
            for reply in session.replies(*received):
                writer.write(reply)
            await writer.drain()
    except (NotSpokenError, struct.error, ValueError, IndexError):
        writer.write(failure("protocol violation", severity="FATAL"))
        await writer.drain()


async def _enter(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, login: Login
) -> bool:
    while True:
        (size,) = struct.unpack(">I", await reader.readexactly(4))
        if not 8 <= size <= 10_000:  # noqa: PLR2004 - limits of a start-up message
            return False
        body = await reader.readexactly(size - 4)
        (code,) = struct.unpack_from(">I", body)
        if code not in (_SSL_REQUEST, _GSS_REQUEST):
            break
        writer.write(b"N")
        await writer.drain()
    if code == _CANCEL or code >> 16 != 3:  # noqa: PLR2004
        return False
    words = body[4:].rstrip(b"\0").decode(errors="replace").split("\0")
    given = dict(zip(words[::2], words[1::2], strict=False))
    writer.write(message(b"R", struct.pack(">I", 3)))
    await writer.drain()
    kind, secret = await _receive(reader)
    known = hmac.compare_digest(secret.rstrip(b"\0"), login.password.encode())
    if kind != b"p" or given.get("user") != login.user or not known:
        writer.write(failure("invalid username/password", severity="FATAL"))
        await writer.drain()
        return False
    writer.write(message(b"R", struct.pack(">I", 0)))
    for name, value in _GREETING.items():
        writer.write(message(b"S", f"{name}\0{value}\0".encode()))
    writer.write(message(b"K", struct.pack(">II", 1, 1)) + message(b"Z", b"I"))
    await writer.drain()
    return True


async def _receive(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    (size,) = struct.unpack(">I", await reader.readexactly(4))
    if not 4 <= size <= _MESSAGE_MAX:  # noqa: PLR2004
        raise ConnectionAbortedError
    return kind, await reader.readexactly(size - 4)
