"""SQL as far as health checks, the app and row counts need it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from questdb_standin.database import Database
from questdb_standin.sql_rows import SqlError, read_rows
from questdb_standin.tables import Column, Table, TableError
from questdb_standin.values import KINDS, ValueMismatchError, convert

VERSION = "7.3"
NOT_UNDERSTOOD = (
    "This is a small stand-in for QuestDB, not QuestDB: it understands SELECT of a"
    " number, of count() or of columns FROM one table or a SELECT, CREATE TABLE, INSERT"
    " INTO … VALUES, DROP TABLE, TABLES() and SNAPSHOT PREPARE/COMPLETE only."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows of a query; else what was done, and to how many rows."""

    columns: tuple[Column, ...] = ()
    rows: list[list[Any]] = field(default_factory=list)
    done: str = "OK"
    changed: int = 0


@dataclass(slots=True)
class Work:
    """Where statements run: the database, and inserts that wait for COMMIT."""

    database: Database
    open: bool = False
    pending: list[tuple[Table, list[list[Any]]]] = field(default_factory=list)

    def insert(self, table: Table, rows: list[list[Any]]) -> None:
        """Append now, or at the commit."""
        table.check()
        if self.open:
            self.pending.append((table, rows))
        else:
            table.append(rows)

    def end(self, *, commit: bool) -> None:
        """COMMIT or ROLLBACK: one append for each table."""
        rows_of: dict[str, tuple[Table, list[list[Any]]]] = {}
        for table, rows in self.pending if commit else ():
            rows_of.setdefault(table.folder.name, (table, []))[1].extend(rows)
        self.open, self.pending = False, []
        for table, rows in rows_of.values():
            table.append(rows)


_Statement = Callable[[Work, re.Match[str], Sequence[Any]], Answer]
_STATEMENTS: list[tuple[re.Pattern[str], _Statement]] = []
_NAME = r"""(?:"[^"]+"|'[^']+'|[\w.]+)"""


def run_sql(work: Work, text: str, parameters: Sequence[Any] = ()) -> Answer:
    """
    Run one statement; outside BEGIN it is durable when this returns.

    Raises SqlError.
    """
    statement = _without_comments(text).strip("; \n\t")
    if not statement:
        raise SqlError("No query text")
    try:
        for pattern, function in _STATEMENTS:
            if match := pattern.fullmatch(statement):
                return function(work, match, parameters)
    except (TableError, ValueMismatchError) as error:
        raise SqlError(str(error)) from error
    raise SqlError(NOT_UNDERSTOOD)


def returns_rows(text: str) -> bool:
    """Whether this statement is a query."""
    first = _without_comments(text).lstrip("( \n\t").lower()
    return first.startswith(("select", "show", "tables", "table "))


def split_statements(text: str) -> list[str]:
    """Return the statements of *text*, which end at semicolons outside quotes."""
    pieces = re.findall(r"""(?:"[^"]*"|'[^']*'|[^;"'])+""", text)
    return [piece.strip() for piece in pieces if piece.strip()]


def _without_comments(text: str) -> str:
    return re.sub(r"('[^']*')|--[^\n]*", lambda match: match[1] or "", text)


def _statement(pattern: str) -> Callable[[_Statement], _Statement]:
    filled = pattern.replace("NAME", _NAME)
    spaced = filled.replace(" ?", r"\s*").replace(" ", r"\s+")

    def keep(function: _Statement) -> _Statement:
        compiled = re.compile(spaced, re.IGNORECASE | re.DOTALL)
        _STATEMENTS.append((compiled, function))
        return function

    return keep


def _name(text: str) -> str:
    return text.strip("\"'")


@_statement(r"SELECT (?P<number>\d+)(?: (?:AS )?(?P<name>\w+))?")
def _select_number(_: Work, match: re.Match[str], __: Sequence[Any]) -> Answer:
    name = match["name"] or match["number"]
    return Answer((Column(name, "INT"),), [[int(match["number"])]])


@_statement(r"SELECT (?P<function>version|build)\(\)")
def _select_version(_: Work, match: re.Match[str], __: Sequence[Any]) -> Answer:
    text = "PostgreSQL 12.3, compiled by Visual C++ build 1914, 64-bit, QuestDB"
    if match["function"].lower() == "build":
        text = f"Build Information: stand-in for QuestDB {VERSION}"
    return Answer((Column(match["function"].lower(), "STRING"),), [[text]])


@_statement(
    r"SELECT count\(\*?\)(?: (?:AS )?(?P<alias>(?!FROM )\w+))? FROM (?P<table>NAME)"
)
def _count(work: Work, match: re.Match[str], _: Sequence[Any]) -> Answer:
    table = work.database.table(_name(match["table"]))
    table.check()
    return Answer((Column(match["alias"] or "count", "LONG"),), [[table.rows]])


@_statement(r"(?:SELECT \* FROM )?TABLES(?:\(\))?|SHOW TABLES")
def _list_tables(work: Work, _: re.Match[str], __: Sequence[Any]) -> Answer:
    names = [[name] for name in sorted(work.database.tables)]
    return Answer((Column("table", "STRING"),), names)


@_statement(
    r"SELECT (?P<columns>\*|NAME(?: ?, ?NAME)*) FROM (?P<table>NAME)"
    r"(?: LIMIT (?P<limit>\d+))?"
)
def _select(work: Work, match: re.Match[str], _: Sequence[Any]) -> Answer:
    table = work.database.table(_name(match["table"]))
    places = range(len(table.columns))
    if match["columns"] != "*":
        names = [_name(part.strip()) for part in match["columns"].split(",")]
        places = [_place(table, name) for name in names]  # type: ignore[assignment]
    limit = None if match["limit"] is None else int(match["limit"])
    rows = [[row[place] for place in places] for row in islice(table.read(), limit)]
    return Answer(tuple(table.columns[place] for place in places), rows)


@_statement(r"SELECT \* FROM \((?P<inner>.+)\) LIMIT (?P<limit>\d+)")
def _select_of(work: Work, match: re.Match[str], parameters: Sequence[Any]) -> Answer:
    if not returns_rows(match["inner"]):
        raise SqlError("'select' or 'with' expected")
    inner = run_sql(work, match["inner"], parameters)
    return Answer(inner.columns, inner.rows[: int(match["limit"])])


@_statement(
    r"CREATE TABLE (?P<quiet>IF NOT EXISTS )?(?P<table>NAME) ?\((?P<columns>[^()]+)\)"
    r" ?(?:TIMESTAMP ?\( ?(?P<designated>\w+) ?\))?(?: ?PARTITION BY \w+)?"
    r"(?: (?:BYPASS )?WAL)?(?: DEDUP .*)?"
)
def _create_table(work: Work, match: re.Match[str], _: Sequence[Any]) -> Answer:
    name = _name(match["table"])
    if match["quiet"] and work.database.has(name):
        return Answer()
    columns = [_column(part.split()) for part in match["columns"].split(",")]
    work.database.create(name, columns, match["designated"])
    return Answer()


@_statement(
    r"INSERT INTO (?P<table>NAME) ?(?:\((?P<columns>[^()]*)\))?"
    r" ?VALUES ?(?P<rows>\(.*\))"
)
def _insert(work: Work, match: re.Match[str], parameters: Sequence[Any]) -> Answer:
    table = work.database.table(_name(match["table"]))
    names = [column.name for column in table.columns]
    if match["columns"]:
        names = [_name(part.strip()) for part in match["columns"].split(",")]
    places = [_place(table, name) for name in names]
    rows = [
        _row(table, places, given) for given in read_rows(match["rows"], parameters)
    ]
    work.insert(table, rows)
    return Answer(done="INSERT", changed=len(rows))


@_statement(r"DROP TABLE (?P<quiet>IF EXISTS )?(?P<table>NAME)")
def _drop_table(work: Work, match: re.Match[str], _: Sequence[Any]) -> Answer:
    name = _name(match["table"])
    if not match["quiet"] or work.database.has(name):
        work.database.drop(name)
    return Answer()


@_statement(r"SNAPSHOT (?P<action>PREPARE|COMPLETE)")
def _snapshot(work: Work, match: re.Match[str], _: Sequence[Any]) -> Answer:
    if match["action"].upper() == "PREPARE":
        work.database.prepare_snapshot()
    else:
        work.database.complete_snapshot()
    return Answer()


@_statement(r"BEGIN(?: .*)?|START TRANSACTION")
def _begin(work: Work, _: re.Match[str], __: Sequence[Any]) -> Answer:
    work.open = True
    return Answer(done="BEGIN")


@_statement(r"(?P<action>COMMIT|ROLLBACK)")
def _end(work: Work, match: re.Match[str], _: Sequence[Any]) -> Answer:
    action = match["action"].upper()
    work.end(commit=action == "COMMIT")
    return Answer(done=action)


@_statement(r"(?:SET|DISCARD|CLOSE|UNLISTEN|RESET) .*")
def _ignore(_: Work, __: re.Match[str], ___: Sequence[Any]) -> Answer:
    return Answer(done="SET")


def _column(words: list[str]) -> Column:
    if len(words) < 2:  # noqa: PLR2004
        raise SqlError("column type is missing")
    if words[1].upper() not in KINDS:
        raise SqlError(f"unsupported column type: {words[1]}")
    return Column(_name(words[0]), words[1].upper())


def _place(table: Table, name: str) -> int:
    for place, column in enumerate(table.columns):
        if column.name.lower() == name.lower():
            return place
    raise SqlError(f"Invalid column: {name}")


def _row(table: Table, places: Sequence[int], given: list[Any]) -> list[Any]:
    if len(given) != len(places):
        counts = f"[expected={len(places)}, actual={len(given)}]"
        raise SqlError(f"row value count does not match column count {counts}")
    row: list[Any] = [None] * len(table.columns)
    for place, value in zip(places, given, strict=True):
        row[place] = convert(value, table.columns[place].kind)
    return row
