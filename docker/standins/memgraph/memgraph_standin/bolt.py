"""The server's side of Bolt 4.3, 4.4 and 5.0 to 5.2, without routing."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from memgraph_standin.bolt_wire import MAGIC, choose_version, encode, read_message
from memgraph_standin.graph import Node
from memgraph_standin.packstream import PackError, Structure
from memgraph_standin.queries import (
    Engine,
    QueryError,
    Result,
    Transaction,
    run_query,
)
from memgraph_standin.users import Users

GOODBYE, RESET, COMMIT, DISCARD = 0x02, 0x0F, 0x12, 0x2F
SUCCESS, RECORD, IGNORED, FAILURE = 0x70, 0x71, 0x7E, 0x7F
_NODE = 0x4E

_connection_numbers = count(1)


class RefusedError(Exception):
    """A message that is answered by FAILURE."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(slots=True)
class Session:
    """One connection after the handshake."""

    engine: Engine
    users: Users
    server_name: str
    version: tuple[int, int]
    signed_in: bool = False
    failed: bool = False
    transaction: Transaction | None = None
    results: deque[tuple[Result, deque[Sequence[Any]]]] = field(default_factory=deque)

    def answer(self, message: Structure) -> list[Structure]:
        """Return the messages that answer *message*; empty after GOODBYE."""
        if message.tag == RESET:
            self._forget()
            return [_success()]
        if self.failed:
            return [Structure(IGNORED, ())]
        try:
            return self._dispatch(message)
        except RefusedError as error:
            self.failed = True
            self._forget(failed=True)
            return [_failure(error.code, str(error))]

    def _forget(self, *, failed: bool = False) -> None:
        self.failed = failed
        self.transaction = None
        self.results.clear()

    def _dispatch(self, message: Structure) -> list[Structure]:
        match message.tag, message.fields:
            case 0x01, (dict(extra),):
                return [self._hello(extra)]
            case 0x6A, (dict(auth),):
                self._sign_in(auth)
                return [_success()]
            case 0x6B, _:
                self.signed_in = False
                return [_success()]
        return self._query(message)

    def _query(self, message: Structure) -> list[Structure]:
        if not self.signed_in:
            raise RefusedError(_PROTOCOL, "The first messages must be HELLO and LOGON.")
        match message.tag, message.fields:
            case 0x10, (str(query), dict(parameters), *_):
                return [self._run(query, parameters)]
            case (0x3F | 0x2F) as tag, (dict(extra),):
                return self._pull(extra.get("n", -1), discard=tag == DISCARD)
            case 0x11, (dict(extra),):
                reads = extra.get("mode") == "r"
                self.transaction = Transaction(self.engine, explicit=True, reads=reads)
                return [_success()]
            case (0x12 | 0x13) as tag, _:
                return [self._end(commit=tag == COMMIT)]
        text = (
            f"This stand-in for Memgraph does not take Bolt message 0x{message.tag:02X}"
        )
        raise RefusedError(_PROTOCOL, text)

    def _hello(self, extra: dict[str, Any]) -> Structure:
        if self.version < (5, 1):
            self._sign_in(extra)
        number = next(_connection_numbers)
        return _success(server=self.server_name, connection_id=f"bolt-{number}")

    def _sign_in(self, auth: dict[str, Any]) -> None:
        user, password = auth.get("principal", ""), auth.get("credentials", "")
        if not self.users.accept(str(user), str(password)):
            code = "Memgraph.ClientError.Security.Unauthenticated"
            raise RefusedError(code, "Authentication failure")
        self.signed_in = True

    def _run(self, query: str, parameters: dict[str, Any]) -> Structure:
        transaction = self.transaction or Transaction(self.engine)
        try:
            result = run_query(transaction, query, parameters)
        except QueryError as error:
            code = "Memgraph.ClientError.MemgraphError.MemgraphError"
            raise RefusedError(code, str(error)) from error
        self.results.append((result, deque(result.rows)))
        more = {"qid": len(self.results) - 1} if self.transaction else {}
        return _success(fields=list(result.columns), t_first=0, **more)

    def _pull(self, number: int, *, discard: bool) -> list[Structure]:
        if not self.results:
            raise RefusedError(_PROTOCOL, "PULL without a result")
        result, rows = self.results[-1]
        size = len(rows) if number < 0 else min(number, len(rows))
        taken = [rows.popleft() for _ in range(size)]
        answers = [] if discard else [self._record(row) for row in taken]
        if rows:
            return [*answers, _success(has_more=True)]
        self.results.pop()
        summary: dict[str, Any] = {"type": result.kind, "t_last": 0, "db": "memgraph"}
        if result.stats:
            summary["stats"] = result.stats
        return [*answers, _success(**summary)]

    def _record(self, row: Sequence[Any]) -> Structure:
        return Structure(RECORD, ([self._value(value) for value in row],))

    def _value(self, value: Any) -> Any:
        match value:
            case (int(number), Node(labels, properties)):
                fields: tuple[Any, ...] = (number, list(labels), properties)
                if self.version >= (5, 0):
                    fields = (*fields, str(number))
                return Structure(_NODE, fields)
        return value

    def _end(self, *, commit: bool) -> Structure:
        if self.transaction is None:
            raise RefusedError(_PROTOCOL, "COMMIT or ROLLBACK outside a transaction")
        if commit:
            self.transaction.commit()
        self._forget()
        return _success()


_PROTOCOL = "Memgraph.ClientError.Request.Invalid"


def _success(**metadata: Any) -> Structure:
    return Structure(SUCCESS, (metadata,))


def _failure(code: str, text: str) -> Structure:
    return Structure(FAILURE, ({"code": code, "message": text},))


async def talk_bolt(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    engine: Engine,
    users: Users,
    server_name: str,
) -> None:
    """Serve one connection from the handshake to GOODBYE."""
    if await reader.readexactly(4) != MAGIC:
        return
    version = choose_version(await reader.readexactly(16))
    writer.write(bytes([0, 0, version[1], version[0]]) if version else bytes(4))
    await writer.drain()
    if version is None:
        return
    session = Session(engine, users, server_name, version)
    while True:
        try:
            message = await read_message(reader)
        except PackError:
            return
        if message.tag == GOODBYE:
            return
        for answer in session.answer(message):
            writer.write(encode(answer))
        await writer.drain()
