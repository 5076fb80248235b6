"""The queries that are understood, each as a pattern and a function."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memgraph_standin.graph import Node
from memgraph_standin.literals import LiteralError, read_map
from memgraph_standin.snapshots import StorageError
from memgraph_standin.storage import Storage

VERSION = "3.2.0"

NOT_UNDERSTOOD = (
    "This is a small stand-in for Memgraph, not Memgraph: it understands RETURN 1,"
    " CREATE (n:Label {...}), MATCH (n) RETURN n or count(n), and the snapshot, lock"
    " and SHOW queries only."
)


class QueryError(Exception):
    """A query that fails; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Result:
    """Columns, rows, and what the query did ("r" read, "w" wrote, "s" schema)."""

    columns: tuple[str, ...] = ()
    rows: Sequence[Sequence[Any]] = ()
    kind: str = "r"
    stats: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Engine:
    """What a query can reach: the storage and the flags as they were read."""

    storage: Storage
    settings: dict[str, tuple[str, str]]  # flag: default, current


@dataclass(slots=True)
class Transaction:
    """
    Nodes that wait for the commit; *explicit* inside BEGIN … COMMIT.

    Where it was said that it only *reads*, a query that writes is refused.
    """

    engine: Engine
    explicit: bool = False
    reads: bool = False
    pending: list[Node] = field(default_factory=list)

    def commit(self) -> None:
        """Make the pending nodes durable."""
        if self.pending:
            self.engine.storage.commit(self.pending)
            self.pending = []


Arguments = dict[str, Any]
_Query = Callable[[Transaction, re.Match[str], Arguments], Result]
_QUERIES: list[tuple[re.Pattern[str], _Query]] = []


def run_query(transaction: Transaction, text: str, parameters: Arguments) -> Result:
    """
    Run one query; outside BEGIN it is durable when this returns.

    Raises QueryError.
    """
    query = text.strip("; \n\t")
    for pattern, function in _QUERIES:
        if match := pattern.fullmatch(query):
            return _run(transaction, function, match, parameters)
    raise QueryError(NOT_UNDERSTOOD)


def _run(
    transaction: Transaction,
    function: _Query,
    match: re.Match[str],
    parameters: Arguments,
) -> Result:
    try:
        result = function(transaction, match, parameters)
        if not transaction.explicit:
            transaction.commit()
    except (StorageError, LiteralError) as error:
        raise QueryError(str(error)) from error
    return result


def _query(pattern: str) -> Callable[[_Query], _Query]:
    spaced = pattern.replace(" ?", r"\s*").replace(" ", r"\s+")

    def keep(function: _Query) -> _Query:
        compiled = re.compile(spaced, re.IGNORECASE | re.DOTALL)
        _QUERIES.append((compiled, function))
        return function

    return keep


@_query(r"RETURN (?P<number>\d+)(?: AS (?P<name>\w+))?")
def _return_number(_: Transaction, match: re.Match[str], __: Arguments) -> Result:
    number = match["number"]
    return Result((match["name"] or number,), [[int(number)]])


@_query(r"CREATE ?\( ?(?P<name>\w*) ?(?P<labels>(?::\w+)*) ?(?P<map>\{.*\}|\$\w+)? ?\)")
def _create_node(
    transaction: Transaction, match: re.Match[str], parameters: Arguments
) -> Result:
    if transaction.reads:
        raise QueryError("a transaction that only reads cannot write")
    labels = tuple(filter(None, match["labels"].split(":")))
    properties = read_map(match["map"] or "{}", parameters)
    transaction.pending.append(Node(labels, properties))
    stats = {"nodes-created": 1, "labels-added": len(labels)}
    stats["properties-set"] = len(properties)
    return Result(kind="w", stats=stats)


_NODE = r"MATCH ?\( ?(?P<name>\w+) ?(?:: ?(?P<label>\w+) ?)?\) RETURN"


@_query(_NODE + r" count\((?:\1|\*)\)(?: AS (?P<column>\w+))?")
def _count_nodes(
    transaction: Transaction, match: re.Match[str], _: Arguments
) -> Result:
    label = match["label"]
    count = transaction.engine.storage.graph.count(label)
    count += sum(label is None or label in node.labels for node in transaction.pending)
    return Result((match["column"] or f"count({match['name']})",), [[count]])


@_query(
    r"MATCH ?\( ?(?P<name>\w+) ?(?:: ?(?P<label>\w+) ?)?(?P<map>\{[^{}]*\})? ?\)"
    r" RETURN \1(?: LIMIT (?P<limit>\d+))?"
)
def _match_nodes(
    transaction: Transaction, match: re.Match[str], parameters: Arguments
) -> Result:
    limit = None if match["limit"] is None else int(match["limit"])
    wanted = read_map(match["map"] or "{}", parameters)
    graph = transaction.engine.storage.graph
    found = graph.matching(match["label"], limit=limit, properties=wanted)
    return Result((match["name"],), [[pair] for pair in found])


@_query(r"CREATE SNAPSHOT")
def _create_snapshot(
    transaction: Transaction, _: re.Match[str], __: Arguments
) -> Result:
    _refuse_inside_transaction(transaction, "CREATE SNAPSHOT")
    path = transaction.engine.storage.create_snapshot()
    return Result(("path",), [[str(path)]], kind="s")


@_query(r"(?P<action>LOCK|UNLOCK) DATA DIRECTORY")
def _lock_directory(
    transaction: Transaction, match: re.Match[str], _: Arguments
) -> Result:
    _refuse_inside_transaction(transaction, "LOCK DATA DIRECTORY")
    storage = transaction.engine.storage
    lock = match["action"].upper() == "LOCK"
    state = "already" if storage.locked is lock else "now"
    storage.locked = lock
    storage.remove_superfluous()
    name = "locked" if lock else "unlocked"
    return Result(("STATUS",), [[f"Data directory is {state} {name}."]], kind="s")


@_query(r"DATA DIRECTORY LOCK STATUS")
def _lock_status(transaction: Transaction, _: re.Match[str], __: Arguments) -> Result:
    state = "locked" if transaction.engine.storage.locked else "unlocked"
    return Result(("STATUS",), [[f"Data directory is {state}."]])


@_query(
    r"""RECOVER SNAPSHOT (?P<quote>["'])(?P<path>[^"']+)(?P=quote)(?P<force> FORCE)?"""
)
def _recover_snapshot(
    transaction: Transaction, match: re.Match[str], _: Arguments
) -> Result:
    _refuse_inside_transaction(transaction, "RECOVER SNAPSHOT")
    storage = transaction.engine.storage
    storage.recover_snapshot(Path(match["path"]), force=match["force"] is not None)
    return Result(kind="s")


@_query(r"SHOW STORAGE INFO")
def _storage_info(transaction: Transaction, _: re.Match[str], __: Arguments) -> Result:
    storage = transaction.engine.storage
    rows: list[list[Any]] = [
        ["name", "memgraph"],
        ["vertex_count", storage.graph.count()],
        ["edge_count", 0],
        ["disk_usage", storage.disk_usage()],
        ["storage_mode", "IN_MEMORY_TRANSACTIONAL"],
        ["stand_in", NOT_UNDERSTOOD],
    ]
    return Result(("storage info", "value"), rows)


@_query(r"SHOW CONFIG")
def _show_config(transaction: Transaction, _: re.Match[str], __: Arguments) -> Result:
    rows = [
        [name, default, value, ""]
        for name, (default, value) in sorted(transaction.engine.settings.items())
    ]
    return Result(("name", "default_value", "current_value", "description"), rows)


@_query(r"SHOW VERSION")
def _show_version(_: Transaction, __: re.Match[str], ___: Arguments) -> Result:
    return Result(("version",), [[VERSION]])


def _refuse_inside_transaction(transaction: Transaction, name: str) -> None:
    if transaction.explicit:
        raise QueryError(f"{name} is not allowed in multicommand transactions.")
