"""The QuestDB stand-in as its clients see it."""

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from standin_servers import (
    DEADLINE,
    QUESTDB,
    Server,
    Starter,
    free_ports,
    get,
    refusal,
    starting,
)
from waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting() as starter:
        yield starter.start(QUESTDB, tmp_path_factory.mktemp("questdb") / "data")


@pytest.fixture
def starter() -> Iterator[Starter]:
    with starting() as starter:
        yield starter


def execute(server: Server, query: str) -> Any:
    """Run *query* through REST and return the JSON of the answer."""
    return json.loads(get(server, "/exec?" + urlencode({"query": query}))[1])


def connect(
    server: Server, password: str = "quest", **options: Any
) -> psycopg.Connection:
    port = server.ports["pg"]
    text = f"host=127.0.0.1 port={port} user=admin dbname=qdb connect_timeout=5"
    return psycopg.connect(text, password=password, **options)


def test_the_health_checks_request_is_answered(server: Server) -> None:
    """SELECT 1 as JSON, with the status line that the check reads."""
    with socket.create_connection(("127.0.0.1", server.ports["http"])) as peer:
        peer.settimeout(DEADLINE)
        peer.sendall(
            b"GET /exec?query=SELECT%201 HTTP/1.1\r\nHost: localhost\r\n"
            b"Connection: close\r\n\r\n"
        )
        first = peer.makefile("rb").readline()

    assert b" 200 " in first
    assert execute(server, "SELECT 1;") == {
        "query": "SELECT 1;",
        "columns": [{"name": "1", "type": "INT"}],
        "timestamp": -1,
        "dataset": [[1]],
        "count": 1,
    }


def test_the_minimal_server_is_healthy(server: Server) -> None:
    """Any path of port 9003 answers 200."""
    assert get(server, "/whatever", port="health")[0] == HTTPStatus.OK


def test_rows_arrive_as_they_were_inserted(server: Server) -> None:
    """Types, quotes, columns in another order, several rows at once."""
    execute(
        server,
        "CREATE TABLE trades (ts TIMESTAMP, name SYMBOL, price DOUBLE, n LONG,"
        " ok BOOLEAN) timestamp(ts) PARTITION BY DAY WAL",
    )
    execute(
        server,
        "INSERT INTO trades (name, ts, price, n, ok) VALUES"
        " ('it''s; so', '2024-01-31T12:00:00.000000Z', 1.5, 9000000000, true),"
        "\n (null, 0, -2e3, -1, false)",
    )
    answer = execute(server, "SELECT * FROM trades")

    assert [column["type"] for column in answer["columns"]] == [
        *("TIMESTAMP", "SYMBOL", "DOUBLE", "LONG", "BOOLEAN")
    ]
    assert answer["dataset"] == [
        ["2024-01-31T12:00:00.000000Z", "it's; so", 1.5, 9000000000, True],
        ["1970-01-01T00:00:00.000000Z", None, -2000.0, -1, False],
    ]
    counted = execute(server, "select count() from trades")
    assert counted["dataset"] == [[2]]
    assert counted["columns"][0]["name"] == "count"
    assert execute(server, "SELECT n FROM trades LIMIT 1")["dataset"] == [[9000000000]]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "No query text"),
        ("SELECT x FROM y JOIN z", "stand-in for QuestDB, not QuestDB"),
        ("CHECKPOINT CREATE", "stand-in for QuestDB, not QuestDB"),
        ("SELECT count() FROM nowhere", "table does not exist [table=nowhere]"),
        ("CREATE TABLE bad (x NONSENSE)", "unsupported column type"),
        ("CREATE TABLE '../bad' (x INT)", "invalid table name"),
        ("INSERT INTO nowhere VALUES (1)", "table does not exist"),
    ],
)
def test_bad_queries_get_an_error(server: Server, query: str, said: str) -> None:
    """Status 400, the query and the reason."""
    status, body = get(server, "/exec?" + urlencode({"query": query}))

    assert status == HTTPStatus.BAD_REQUEST
    assert said in json.loads(body)["error"]
    assert json.loads(body)["query"] == query


@pytest.mark.parametrize("values", ["(1)", "('x', 1)", "(1, 2, 3)", "(1, x)", "(1, 2"])
def test_bad_rows_store_nothing(server: Server, values: str) -> None:
    """A row too short, too long, or of the wrong types."""
    execute(server, "CREATE TABLE IF NOT EXISTS pairs (a INT, b INT)")
    answer = execute(server, f"INSERT INTO pairs VALUES {values}")

    assert "error" in answer
    assert execute(server, "SELECT count() FROM pairs")["dataset"] == [[0]]


def test_tables_are_listed_and_dropped(server: Server) -> None:
    """DDL answers as QuestDB's REST does."""
    assert execute(server, "CREATE TABLE gone (x INT)") == {"ddl": "OK"}
    assert "already exists" in execute(server, "CREATE TABLE gone (x INT)")["error"]
    assert ["gone"] in execute(server, "SHOW TABLES")["dataset"]
    assert execute(server, "DROP TABLE gone") == {"ddl": "OK"}
    assert ["gone"] not in execute(server, "tables()")["dataset"]
    assert execute(server, "DROP TABLE IF EXISTS gone") == {"ddl": "OK"}


def test_psycopg_speaks_to_the_wire(server: Server) -> None:
    """The app's readiness query, parameters of every kind, prepared statements."""
    execute(server, "CREATE TABLE wired (id LONG, name STRING, at TIMESTAMP, x DOUBLE)")
    moment = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    with connect(server, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        for number in range(7):
            connection.execute(
                "INSERT INTO wired VALUES (%s, %s, %s, %s)",
                (number * 100_000, "é'", moment, 0.5),
            )
        connection.execute("INSERT INTO wired (id) VALUES (%b)", [2**40])
        rows = connection.execute("SELECT * FROM wired").fetchall()

    assert rows[1] == (100_000, "é'", moment.replace(tzinfo=None), 0.5)
    assert rows[-1] == (2**40, None, None, None)
    assert len(rows) == 8


def test_a_query_is_limited_from_outside(server: Server) -> None:
    """And what stands in its parentheses has to be a query."""
    with connect(server, autocommit=True) as connection:
        connection.execute("CREATE TABLE limited(x INT)")
        connection.execute("INSERT INTO limited VALUES (1), (2), (3)")
        limited = "SELECT * FROM (\nSELECT x FROM limited\n) LIMIT 2"
        assert connection.execute(limited).fetchall() == [(1,), (2,)]
        with pytest.raises(psycopg.Error, match="expected"):
            connection.execute("SELECT * FROM (\nDROP TABLE limited\n) LIMIT 2")


def test_a_transaction_is_stored_at_its_commit(server: Server) -> None:
    """BEGIN, ROLLBACK and COMMIT, and an error in between."""
    execute(server, "CREATE TABLE kept (id LONG)")
    with connect(server) as connection:
        connection.execute("INSERT INTO kept VALUES (1)")
        connection.rollback()
        connection.execute("INSERT INTO kept VALUES (2)")
        connection.execute("INSERT INTO kept VALUES (3)")
        assert execute(server, "SELECT count() FROM kept")["dataset"] == [[0]]
        connection.commit()
        connection.execute("INSERT INTO kept VALUES (4)")
        with pytest.raises(psycopg.DatabaseError, match="stand-in"):
            connection.execute("nonsense")
        with pytest.raises(psycopg.DatabaseError, match="aborted"):
            connection.execute("SELECT 1")
        connection.rollback()

    assert execute(server, "SELECT id FROM kept")["dataset"] == [[2], [3]]


def test_errors_do_not_end_the_connection(server: Server) -> None:
    """An extended query that fails is skipped to its Sync."""
    with connect(server, autocommit=True) as connection:
        for query in ("SELECT * FROM nowhere", "nonsense %s"):
            with pytest.raises(psycopg.DatabaseError):
                connection.execute(query, ["x"] if "%s" in query else None)
        assert connection.execute("SELECT 7 AS seven").fetchone() == (7,)


@pytest.mark.parametrize("user_and_password", [("admin", "no"), ("root", "quest")])
def test_the_wire_asks_for_the_password(
    server: Server, user_and_password: tuple[str, str]
) -> None:
    """Wrong name or password is refused in QuestDB's words."""
    user, password = user_and_password
    port = server.ports["pg"]
    with pytest.raises(psycopg.OperationalError, match="invalid username/password"):
        psycopg.connect(
            f"host=127.0.0.1 port={port} dbname=qdb", user=user, password=password
        )


def test_the_environment_sets_user_and_password(
    starter: Starter, tmp_path: Path
) -> None:
    """QDB_PG_USER and QDB_PG_PASSWORD win over conf/server.conf."""
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "server.conf").write_text("pg.user=x\npg.password=y\n#z\n")
    server = starter.start(QUESTDB, tmp_path, environment={"QDB_PG_PASSWORD": "new"})
    text = f"host=127.0.0.1 port={server.ports['pg']} dbname=qdb user=x"

    with psycopg.connect(text, password="new") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(text, password="y")


def test_lines_become_rows(server: Server) -> None:
    """Tags, fields of every kind, escapes, a bad line in between, a new column."""
    lines = (
        b'cpu,host=a\\ b use=0.5,n=3i,s="x, \\"y\\" z",ok=t 1700000000000000000\n'
        b"nonsense\ncpu use=1,extra=2\ncpu us"
    )
    with socket.create_connection(("127.0.0.1", server.ports["ilp"])) as peer:
        peer.sendall(lines)
        peer.sendall(b"e=2\n")

    eventually(
        lambda: execute(server, "SELECT count() FROM cpu").get("dataset") == [[3]]
    )
    first = execute(server, "SELECT host, use, n, s, ok, timestamp FROM cpu LIMIT 1")
    assert first["dataset"] == [
        ["a b", 0.5, 3, 'x, "y" z', True, "2023-11-14T22:13:20.000000Z"]
    ]
    extra = execute(server, "SELECT extra FROM cpu")["dataset"]
    assert extra == [[None], [2.0], [None]]


def test_a_frozen_process_answers_no_health_check(server: Server) -> None:
    """Both health endpoints hang with the process that holds the data."""
    with server.frozen():
        for path in ("http", "health"):
            with pytest.raises(TimeoutError):
                get(server, "/", port=path, timeout=0.2)
    assert execute(server, "SELECT 1")["count"] == 1


def test_a_stop_ends_as_java_does(starter: Starter, tmp_path: Path) -> None:
    """143 after SIGTERM, and the rows are there afterwards."""
    server = starter.start(QUESTDB, tmp_path)
    execute(server, "CREATE TABLE t (id LONG)")
    execute(server, "INSERT INTO t VALUES (1)")
    assert server.stop() == QUESTDB.exit_code
    server = starter.start(QUESTDB, tmp_path)
    assert execute(server, "SELECT count() FROM t")["dataset"] == [[1]]


def test_bad_settings_and_a_second_process_are_refused(
    server: Server, tmp_path: Path
) -> None:
    """One line, and an exit code that is not zero."""
    ports = dict(zip(QUESTDB.ports, free_ports(4), strict=True))
    for environment, said in [
        ({"QDB_SHARED_WORKER_COUNT": "two"}, "shared.worker.count"),
        ({"QDB_HTTP_BIND_TO": "nowhere"}, "http.bind.to"),
        ({}, "cannot lock"),
    ]:
        given = QUESTDB.environment(tmp_path, ports) | environment
        root = server.root if "lock" in said else tmp_path
        code, output = refusal(QUESTDB, ["-d", str(root)], given)
        assert code == 55
        assert said in output
        assert len(output.splitlines()) == 1
