"""
The InfluxDB line protocol over TCP: each line is a row, and nothing is answered.

A table or a column that a line needs is made. A line that cannot be read is left out
and logged; a type that does not fit closes the connection, as QuestDB does.
"""

import asyncio
import logging
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from questdb_standin.database import Database
from questdb_standin.tables import Column, Table, TableError
from questdb_standin.values import ValueMismatchError, convert

_log = logging.getLogger("questdb.ilp")
_READ_SIZE = 64 * 1024
_LINE_MAX = 1024 * 1024
_UNQUOTED_SPACE = re.compile(r'(?<!\\) (?=(?:[^"]*"[^"]*")*[^"]*$)')
_UNQUOTED_COMMA = re.compile(r'(?<!\\),(?=(?:[^"]*"[^"]*")*[^"]*$)')
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def talk_ilp(
    reader: asyncio.StreamReader, _: asyncio.StreamWriter, *, database: Database
) -> None:
    """Store the lines of one connection, a batch for each read."""
    rest = b""
    while data := await reader.read(_READ_SIZE):
        *lines, rest = (rest + data).split(b"\n")
        if len(rest) > _LINE_MAX:
            return
        try:
            store_lines(database, lines)
        except (TableError, ValueMismatchError) as error:
            _log.error("connection closed: %s", error)
            return


def store_lines(database: Database, lines: list[bytes]) -> int:
    """
    Store whole lines durably; the number of rows.

    Raises TableError or ValueMismatchError; the lines before the bad one are stored.
    """
    batches: dict[str, tuple[Table, list[list[Any]]]] = {}
    stored = 0
    try:
        for line in filter(None, map(bytes.strip, lines)):
            if (parsed := _parse(line)) is None:
                _log.error("line left out: %r", line)
                continue
            name, values, moment = parsed
            table = _table_for(database, name, values)
            row = _row(table, values, moment)
            batches.setdefault(table.folder.name, (table, []))[1].append(row)
            stored += 1
    finally:
        for table, rows in batches.values():
            table.append(rows)
    return stored


def _parse(line: bytes) -> tuple[str, dict[str, tuple[str, Any]], datetime] | None:
    """Table, values by name with their types, and the moment of one line."""
    parts = _UNQUOTED_SPACE.split(line.decode(errors="replace"))
    if len(parts) not in (2, 3):
        return None
    name, *tags = _UNQUOTED_COMMA.split(parts[0])
    values: dict[str, tuple[str, Any]] = {}
    for pair in tags:
        key, _, text = pair.partition("=")
        values[_plain(key)] = ("SYMBOL", _plain(text))
    for pair in _UNQUOTED_COMMA.split(parts[1]):
        key, sign, text = pair.partition("=")
        if not sign or (typed := _field(text)) is None:
            return None
        values[_plain(key)] = typed
    moment = datetime.now(tz=UTC)
    if len(parts) == 3:  # noqa: PLR2004
        if not parts[2].isdecimal():
            return None
        moment = _EPOCH + timedelta(microseconds=int(parts[2]) // 1000)
    return _plain(name), values, moment


def _field(text: str) -> tuple[str, Any] | None:
    if text[:1] == '"' and text[-1:] == '"':
        return "STRING", re.sub(r"\\(.)", r"\1", text[1:-1])
    if text.lower() in ("t", "true", "f", "false"):
        return "BOOLEAN", text.lower()[0] == "t"
    if re.fullmatch(r"-?\d+i", text):
        return "LONG", int(text[:-1])
    if re.fullmatch(r"\d+t", text):
        return "TIMESTAMP", int(text[:-1])
    try:
        return "DOUBLE", float(text)
    except ValueError:
        return None


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _table_for(
    database: Database, name: str, values: dict[str, tuple[str, Any]]
) -> Table:
    wanted = [Column(key, kind) for key, (kind, _) in values.items()]
    if not database.has(name):
        columns = [*wanted, Column("timestamp", "TIMESTAMP")]
        return database.create(name, columns, "timestamp")
    table = database.table(name)
    known = {column.name.lower() for column in table.columns}
    for column in wanted:
        if column.name.lower() not in known:
            table.add_column(column)
    return table


def _row(
    table: Table, values: dict[str, tuple[str, Any]], moment: datetime
) -> list[Any]:
    given: dict[str, Any] = {key.lower(): value for key, (_, value) in values.items()}
    if table.designated:
        given.setdefault(table.designated.lower(), moment.isoformat())
    return [convert(given.get(c.name.lower()), c.kind) for c in table.columns]
