"""Each tool on a stand-in of its store: what it answers, and what it refuses."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import neo4j
import psycopg
import pytest
from standin_servers import EVENTSTORE, MEMGRAPH, QUESTDB, Starter, free_ports
from standin_servers import Server as Running

from jimbot.mcp.calls import Tool, ToolError, call
from jimbot.settings import Server
from jimbot.tools.events import append_event, read_events
from jimbot.tools.graph import graph_query, read, refuse_writing
from jimbot.tools.metrics import metrics_query, one_select
from jimbot.tools.rows import Rows, plain

SECONDS = 10.0


def unreported(done: float, total: float) -> None:
    del done, total


@pytest.fixture(scope="module")
def standins() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.end()


@pytest.fixture(scope="module")
def memgraph(standins: Starter, tmp_path_factory: pytest.TempPathFactory) -> Server:
    running = standins.start(MEMGRAPH, tmp_path_factory.mktemp("memgraph"))
    url = f"bolt://127.0.0.1:{running.ports['bolt']}"
    with neo4j.GraphDatabase.driver(url) as driver:
        for name, rarity in [("Joker", 1), ("Blueprint", 3), ("Brainstorm", 3)]:
            driver.execute_query(
                "CREATE (n:Joker $all)", {"all": {"name": name, "rarity": rarity}}
            )
    return Server("127.0.0.1", running.ports["bolt"])


@pytest.fixture(scope="module")
def questdb(standins: Starter, tmp_path_factory: pytest.TempPathFactory) -> Server:
    running = standins.start(QUESTDB, tmp_path_factory.mktemp("questdb"))
    port = running.ports["pg"]
    text = f"host=127.0.0.1 port={port} user=admin password=quest dbname=qdb"
    with psycopg.connect(text, autocommit=True) as connection:
        connection.execute("CREATE TABLE rounds (at TIMESTAMP, score DOUBLE)")
        connection.execute(
            "INSERT INTO rounds VALUES"
            " ('2024-05-06T07:08:09Z', 0.5), (now(), 2), (now(), 3)"
        )
    return Server("127.0.0.1", port, user="admin", password="quest")


@pytest.fixture(scope="module")
def store(standins: Starter, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return standins.start(EVENTSTORE, tmp_path_factory.mktemp("eventstore"))


@pytest.fixture
def eventstore(store: Running) -> Server:
    return Server("127.0.0.1", store.ports["http"])


def called(tool: Tool, **arguments: Any) -> Mapping[str, Any]:
    """Call a tool as the endpoint does; its result, which its own schema describes."""
    assert next(tool.check.iter_errors(arguments), None) is None
    result = asyncio.run(call(tool, arguments, unreported, "trial"))
    if result["isError"]:
        return {"error": result["content"][0]["text"]}
    structured: Mapping[str, Any] = result["structuredContent"]
    output = replace(tool, input=tool.output).check
    assert next(output.iter_errors(structured), None) is None
    return structured


def test_cypher_reads_with_parameters_and_a_limit(memgraph: Server) -> None:
    tool = graph_query(memgraph, SECONDS)
    query = "MATCH (n:Joker {rarity: $rarity}) RETURN n"

    every = called(tool, query=query, parameters={"rarity": 3})
    first = called(tool, query=query, parameters={"rarity": 3}, limit=1)

    assert every["columns"] == ["n"]
    assert [row[0]["properties"]["name"] for row in every["rows"]] == [
        "Blueprint",
        "Brainstorm",
    ]
    assert every["rows"][0][0]["labels"] == ["Joker"]
    assert (every["truncated"], first["truncated"]) == (False, True)
    assert len(first["rows"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "CREATE (n)",
        "MATCH (n) SET n.x = 1",
        "MATCH (n)\nDETACH\nDELETE n",
        "MATCH (a)--(b) SET a.x = 1",
        "MERGE (n)",
        "MATCH (n) REMOVE n.x",
        "CALL mg.procedures() YIELD name RETURN name",
        "LOAD CSV FROM '/etc/passwd' NO HEADER AS row RETURN row",
        "DROP INDEX ON :A",
        "SHOW USERS",
        "BEGIN",
        "STORAGE MODE IN_MEMORY_ANALYTICAL",
        "/* RETURN 1 */ create (n)",
        "RETURN 1 // the end\n SET x",
        "RETURN 'it\\'s' SET x = 'y'",
        "MATCH (n) foreach (x in [1] | create (m))",
        "",
        "// nothing",
    ],
)
def test_what_could_write_is_refused_before_it_is_sent(query: str) -> None:
    with pytest.raises(ToolError, match="only reads"):
        refuse_writing(query)


@pytest.mark.parametrize(
    "query",
    [
        "MATCH (n:Set {`create`: 'DELETE'}) RETURN n.set, $merge // drop",
        "UNWIND [1, 2] AS created RETURN created",
        'OPTIONAL MATCH (a)-[:SET]->(b) RETURN "CREATE", offset',
    ],
)
def test_names_and_texts_that_look_like_writing_are_none(query: str) -> None:
    refuse_writing(query)


def test_the_tools_look_at_a_query_before_they_ask() -> None:
    """Nobody listens, and that is not what is told."""
    nobody = Server("127.0.0.1", free_ports(1)[0])

    graph = called(graph_query(nobody, SECONDS), query="CREATE (n)")
    metrics = called(metrics_query(nobody, SECONDS), query="DROP TABLE rounds")

    assert graph["error"].startswith("graph_query only reads: CREATE is refused")
    assert metrics["error"] == "metrics_query takes one SELECT"


def test_memgraph_itself_refuses_what_gets_through(memgraph: Server) -> None:
    """Without our own look at the words: it is told that the transaction reads."""
    arguments = {"query": "CREATE (n:Joker)"}

    with pytest.raises(ToolError, match="memgraph refused the query"):
        asyncio.run(read(memgraph, arguments, SECONDS))
    counted = called(graph_query(memgraph, SECONDS), query="MATCH (n) RETURN count(n)")
    assert counted["rows"] == [[3]]


def test_what_memgraph_does_not_understand_is_an_error(memgraph: Server) -> None:
    tool = graph_query(memgraph, SECONDS)

    told = called(tool, query="RETURN what")["error"]
    huge = called(tool, query="RETURN 1", parameters={"a": 2**70})["error"]

    assert told.startswith("memgraph refused the query: ")
    assert "parameter" in huge


def test_sql_selects_with_a_limit(questdb: Server) -> None:
    tool = metrics_query(questdb, SECONDS)

    every = called(tool, query="SELECT at, score FROM rounds; -- all")
    first = called(tool, query="SELECT score FROM rounds", limit=2)

    assert every["columns"] == ["at", "score"]
    assert every["rows"][0] == ["2024-05-06T07:08:09", 0.5]
    assert (every["truncated"], first["truncated"]) == (False, True)
    assert first["rows"] == [[0.5], [2.0]]


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE rounds",
        "SELECT 1; DROP TABLE rounds",
        "SELECT 1) LIMIT 1; DROP TABLE rounds; --",
        "SELECT 1) LIMIT 1 UNION (SELECT 2",
        "INSERT INTO rounds SELECT now(), 1",
        "WITH x AS (SELECT 1) INSERT INTO rounds SELECT now(), 1",
        "/* SELECT */ TRUNCATE TABLE rounds",
        "SELECT 'a\\'; DROP TABLE rounds; --'",
        "SELECT 'open",
        ";",
    ],
)
def test_what_is_not_one_select_is_refused(query: str) -> None:
    with pytest.raises(ToolError):
        one_select(query)


def test_a_semicolon_in_a_text_is_no_end() -> None:
    assert one_select("SELECT 'a;b' ; ") == "SELECT 'a;b'"


def test_what_questdb_refuses_is_an_error(questdb: Server) -> None:
    told = called(metrics_query(questdb, SECONDS), query="SELECT x FROM nowhere")

    assert "questdb refused the query" in told["error"]


def test_events_are_appended_and_read_both_ways(eventstore: Server) -> None:
    append, read_back = (
        make(eventstore, SECONDS) for make in (append_event, read_events)
    )
    for number in range(3):
        wrote = called(append, stream="run-é", type="played", data={"n": number})
        assert wrote["revision"] == number

    forward = called(read_back, stream="run-é", from_revision=1)
    newest = called(read_back, stream="run-é", direction="backward", count=2)

    assert [event["data"] for event in forward["events"]] == [{"n": 1}, {"n": 2}]
    assert [event["revision"] for event in newest["events"]] == [2, 1]
    assert newest["events"][0]["type"] == "played"


def test_an_expected_revision_decides_and_an_id_repeats(eventstore: Server) -> None:
    append = append_event(eventstore, SECONDS)
    event = {"stream": "decided", "type": "t", "data": {}}

    first = called(append, **event, expected_revision="no_stream")
    again = called(append, **event, event_id=first["event_id"])
    wrong = called(append, **event, expected_revision=5)
    taken = called(append, **event, expected_revision="no_stream")
    right = called(append, **event, expected_revision=0)

    assert (first["revision"], again["revision"], right["revision"]) == (0, 0, 1)
    assert "is at revision 0, not 5" in wrong["error"]
    assert "is at revision 0, not no_stream" in taken["error"]


def test_a_stream_that_is_not_there_is_told(eventstore: Server) -> None:
    told = called(read_events(eventstore, SECONDS), stream="nothing")

    assert told["error"] == "eventstore: there is no stream nothing"


@pytest.mark.parametrize(
    "stream", ["$all", "$ce-x", "a/b", "a b", "", "a" * 201, "a\n"]
)
def test_streams_of_the_store_itself_and_odd_names_are_refused(
    eventstore: Server, stream: str
) -> None:
    for make in (append_event, read_events):
        check = make(eventstore, SECONDS).check
        assert not check.is_valid({"stream": stream, "type": "t", "data": {}})


def test_a_wrong_password_is_told_without_the_password() -> None:
    """EventStore answers 401; the application's log and the client see no more."""

    async def refusing(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def ask() -> Mapping[str, Any]:
        server = await asyncio.start_server(refusing, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            store = Server("127.0.0.1", port, user="admin", password="hidden")
            tool = read_events(store, SECONDS)
            return await call(tool, {"stream": "s"}, unreported, "trial")

    told = json.dumps(asyncio.run(ask()))
    assert "password" in told
    assert "hidden" not in told


def test_a_store_that_is_down_is_named() -> None:
    (port,) = free_ports(1)
    nobody = Server("127.0.0.1", port)
    calls: list[tuple[Tool, dict[str, Any]]] = [
        (graph_query(nobody, SECONDS), {"query": "RETURN 1"}),
        (metrics_query(nobody, SECONDS), {"query": "SELECT 1"}),
        (read_events(nobody, SECONDS), {"stream": "s"}),
        (append_event(nobody, SECONDS), {"stream": "s", "type": "t", "data": {}}),
    ]
    for tool, arguments in calls:
        told = called(tool, **arguments)["error"]
        assert told.startswith(f"{tool.service} does not answer: ")
        assert "\n" not in told


def test_a_frozen_store_takes_no_longer_than_allowed(store: Running) -> None:
    server = Server("127.0.0.1", store.ports["http"])
    with store.frozen():
        told = called(read_events(server, 0.2), stream="s")

    assert told["error"] == "eventstore does not answer: no answer within 0.2 s"


def test_rows_end_at_their_number_and_at_their_size() -> None:
    rows = Rows(3)
    assert [rows.take(["x" * 100_000]) for _ in range(4)] == [True, True, False, False]

    assert rows.truncated
    assert len(rows.result(["a"])["rows"]) == 2


def test_values_that_json_has_not_get_another_form() -> None:
    assert plain([float("nan"), b"\xff", {1: {2}}, 2**60]) == [
        None,
        "/w==",
        {"1": [2]},
        2**60,
    ]
