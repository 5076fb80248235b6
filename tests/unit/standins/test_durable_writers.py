"""Kill each stand-in under a writer that never stops: no acknowledged write is lost."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path

import httpx
import neo4j
import psycopg
import pytest
from standin_servers import (
    EVENTSTORE,
    MEMGRAPH,
    QUESTDB,
    Product,
    Server,
    Starter,
    get,
    starting,
)
from waiting import eventually

Writer = Callable[[Server], Iterator[int]]
Reader = Callable[[Server], list[int]]
ROUNDS = 2
ENOUGH = 30  # acknowledged writes before the kill


def write_memgraph(server: Server) -> Iterator[int]:
    url = f"bolt://127.0.0.1:{server.ports['bolt']}"
    with neo4j.GraphDatabase.driver(url) as driver, driver.session() as session:
        number = len(read_memgraph(server))
        while True:
            session.run("CREATE (n:W {id: $id})", id=number).consume()
            yield number
            number += 1


def read_memgraph(server: Server) -> list[int]:
    url = f"bolt://127.0.0.1:{server.ports['bolt']}"
    with neo4j.GraphDatabase.driver(url) as driver, driver.session() as session:
        nodes = session.run("MATCH (n:W) RETURN n").value()
    return [node["id"] for node in nodes]


def write_questdb(server: Server) -> Iterator[int]:
    with connect_questdb(server) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS w (id LONG)")
        number = len(read_questdb(server))
        while True:
            connection.execute("INSERT INTO w VALUES (%s)", [number])
            yield number
            number += 1


def read_questdb(server: Server) -> list[int]:
    with connect_questdb(server) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM w").fetchall()]


def connect_questdb(server: Server) -> psycopg.Connection:
    port = server.ports["pg"]
    text = f"host=127.0.0.1 port={port} user=admin password=quest dbname=qdb"
    return psycopg.connect(text, autocommit=True)


def write_eventstore(server: Server) -> Iterator[int]:
    url = f"http://127.0.0.1:{server.ports['http']}/streams/w"
    with httpx.Client(verify=False) as client:
        number = len(read_eventstore(server))
        while True:
            headers = {"ES-EventType": "w", "Content-Type": "application/json"}
            client.post(url, json={"id": number}, headers=headers).raise_for_status()
            yield number
            number += 1


def read_eventstore(server: Server) -> list[int]:
    status, body = get(server, "/streams/w/0/forward/4096?embed=body")
    if status == HTTPStatus.NOT_FOUND:
        return []
    entries = json.loads(body)["entries"]
    return [json.loads(entry["data"])["id"] for entry in reversed(entries)]


@pytest.fixture
def starter() -> Iterator[Starter]:
    with starting() as starter:
        yield starter


@pytest.mark.parametrize(
    ("product", "write", "read"),
    [
        (MEMGRAPH, write_memgraph, read_memgraph),
        (QUESTDB, write_questdb, read_questdb),
        (EVENTSTORE, write_eventstore, read_eventstore),
    ],
    ids=["memgraph", "questdb", "eventstore"],
)
def test_acknowledged_writes_survive_kills(
    product: Product, write: Writer, read: Reader, starter: Starter, tmp_path: Path
) -> None:
    """All that was acknowledged is there; at most the one in flight beside it."""
    acknowledged: list[int] = []
    server = starter.start(product, tmp_path / "data")
    for _ in range(ROUNDS):
        wanted = len(acknowledged) + ENOUGH
        writer = threading.Thread(target=collect, args=(write(server), acknowledged))
        writer.start()
        eventually(partial(reaches, acknowledged, wanted))
        server.kill()
        writer.join()

        server = starter.start(product, tmp_path / "data")
        recovered = read(server)
        assert set(acknowledged) <= set(recovered)
        assert list(range(len(recovered))) == recovered
        assert len(recovered) <= len(acknowledged) + 1
        acknowledged[:] = recovered


def collect(numbers: Iterator[int], into: list[int]) -> None:
    """Take numbers until the server is gone."""
    errors = (neo4j.exceptions.DriverError, psycopg.Error, httpx.HTTPError, OSError)
    with suppress(*errors):
        into.extend(numbers)


def reaches(numbers: list[int], count: int) -> bool:
    return len(numbers) >= count
