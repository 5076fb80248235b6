"""The Memgraph stand-in as its clients see it."""

import base64
import hashlib
import io
import socket
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import neo4j
import pytest
import trustme
from memgraph_standin.console import main
from neo4j.exceptions import ClientError, ServiceUnavailable
from standin_servers import DEADLINE, MEMGRAPH, Server, Starter, refusal, starting


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting() as starter:
        yield starter.start(MEMGRAPH, tmp_path_factory.mktemp("memgraph") / "data")


@pytest.fixture
def starter() -> Iterator[Starter]:
    with starting() as starter:
        yield starter


@pytest.fixture
def session(server: Server) -> Iterator[neo4j.Session]:
    url = f"bolt://127.0.0.1:{server.ports['bolt']}"
    with neo4j.GraphDatabase.driver(url) as driver, driver.session() as session:
        yield session


def count(session: neo4j.Session, label: str) -> int:
    record = session.run(f"MATCH (n:{label}) RETURN count(n) AS found").single()
    assert record is not None
    found: int = record["found"]
    return found


def console(server: Server, queries: str, *flags: str) -> tuple[int, str]:
    """Run `mgconsole` on *queries*: its exit code and what it printed."""
    output = io.StringIO()
    arguments = ["--port", str(server.ports["bolt"]), "--output-format=csv", *flags]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO(queries))
        with redirect_stdout(output), redirect_stderr(output):
            return main(arguments), output.getvalue()


def test_the_driver_connects_and_reads(session: neo4j.Session) -> None:
    """The app's readiness query works through the neo4j driver."""
    assert session.run("RETURN 1").value() == [1]


def test_created_nodes_are_counted_and_returned(session: neo4j.Session) -> None:
    """Literals and parameters arrive as they were sent."""
    properties = {"text": 'it\'s "so"', "list": [1, 2.5, None], "big": 2**40}
    session.run("CREATE (n:Made {id: $id, ok: true, name: 'a;b'});", id=7).consume()
    summary = session.run("CREATE (n:Made:Other $all)", all=properties).consume()

    assert count(session, "Made") == 2
    assert count(session, "Other") == 1
    assert summary.counters.nodes_created == 1
    found = session.run("MATCH (n:Made) RETURN n").value()
    assert dict(found[0]) == {"id": 7, "ok": True, "name": "a;b"}
    assert properties == dict(found[1])
    assert {"Made", "Other"} == found[1].labels


def test_a_transaction_is_all_or_nothing(session: neo4j.Session) -> None:
    """Nodes of a rolled back transaction are not there, of a committed one all."""
    with session.begin_transaction() as transaction:
        transaction.run("CREATE (n:Lost)").consume()
        transaction.rollback()
    with session.begin_transaction() as transaction:
        transaction.run("CREATE (n:Kept)").consume()
        transaction.run("CREATE (n:Kept)").consume()
        transaction.commit()

    assert count(session, "Lost") == 0
    assert count(session, "Kept") == 2


def test_a_transaction_that_reads_refuses_to_write(server: Server) -> None:
    """Bolt's access mode is heeded, and parameters choose among the nodes."""
    url = f"bolt://127.0.0.1:{server.ports['bolt']}"
    with (
        neo4j.GraphDatabase.driver(url) as driver,
        driver.session(default_access_mode=neo4j.READ_ACCESS) as session,
    ):
        driver.execute_query("CREATE (n:Read {name: 'a'})")
        driver.execute_query("CREATE (n:Read {name: 'b'})")
        with session.begin_transaction() as transaction:
            query = "MATCH (n:Read {name: $name}) RETURN n"
            record = transaction.run(query, name="b").single()
        transaction = session.begin_transaction()
        with pytest.raises(ClientError, match="only reads"):
            transaction.run("CREATE (n:Read)")

    assert record is not None
    assert record["n"]["name"] == "b"


def test_rows_come_in_the_batches_that_were_asked_for(session: neo4j.Session) -> None:
    """PULL n gives n rows and says that there are more."""
    for _ in range(5):
        session.run("CREATE (n:Batch)").consume()
    with session.begin_transaction() as transaction:
        result = transaction.run("MATCH (n:Batch) RETURN n")

        assert len(result.fetch(2)) == 2
        assert len(list(result)) == 3


def test_other_queries_get_one_line_that_says_what_it_is(
    session: neo4j.Session,
) -> None:
    """Nobody takes the stand-in for Memgraph."""
    with pytest.raises(ClientError, match="stand-in for Memgraph, not Memgraph"):
        session.run("MERGE (n) SET n.x = 1").consume()
    assert session.run("RETURN 1").value() == [1]


def test_a_failed_query_ends_its_transaction(session: neo4j.Session) -> None:
    """What was created before the failure is not committed."""
    with session.begin_transaction() as transaction:
        transaction.run("CREATE (n:Doomed)").consume()
        with pytest.raises(ClientError):
            transaction.run("nonsense").consume()
        transaction.rollback()
    assert count(session, "Doomed") == 0


def test_snapshot_queries_are_refused_in_a_transaction(session: neo4j.Session) -> None:
    """As in Memgraph."""
    with session.begin_transaction() as transaction:
        with pytest.raises(ClientError, match="multicommand"):
            transaction.run("CREATE SNAPSHOT").consume()
        transaction.rollback()


def test_the_lock_is_reported_in_memgraphs_words(session: neo4j.Session) -> None:
    """A backup reads these texts."""
    queries = [
        "DATA DIRECTORY LOCK STATUS;",
        "LOCK DATA DIRECTORY;",
        "LOCK DATA DIRECTORY;",
        "DATA DIRECTORY LOCK STATUS;",
        "UNLOCK DATA DIRECTORY;",
        "UNLOCK DATA DIRECTORY;",
    ]
    answers = [session.run(query).value("STATUS")[0] for query in queries]

    assert answers == [
        "Data directory is unlocked.",
        "Data directory is now locked.",
        "Data directory is already locked.",
        "Data directory is locked.",
        "Data directory is now unlocked.",
        "Data directory is already unlocked.",
    ]


def test_storage_info_and_config_are_shown(
    session: neo4j.Session, server: Server
) -> None:
    """Counts, flags and version can be asked for."""
    info = {row[0]: row[1] for row in session.run("SHOW STORAGE INFO").values()}
    flags = {row["name"]: row["current_value"] for row in session.run("SHOW CONFIG")}

    assert info["vertex_count"] == sum(session.run("MATCH (n) RETURN count(n)").value())
    assert flags["storage_wal_enabled"] == "true"
    assert str(server.ports["bolt"]) == flags["bolt_port"]
    assert len(session.run("SHOW VERSION").value("version")) == 1


def test_mgconsole_runs_the_queries_of_its_input(server: Server) -> None:
    """The health check's line succeeds, and rows can be read from the output."""
    health = console(server, "MATCH (n) RETURN n LIMIT 1;\n")
    counted = console(
        server, "CREATE (n:Console {name: 'a;b'}); MATCH (n:Console) RETURN count(n);"
    )

    assert health[0] == 0
    assert (counted[0], counted[1].split()) == (0, ["count(n)", "1"])


@pytest.mark.parametrize("query", ["nonsense;", "RETURN 1; CREATE (n {x: $y});"])
def test_mgconsole_fails_with_its_query(server: Server, query: str) -> None:
    """Exit 1 and one line on stderr."""
    code, output = console(server, query)

    assert code == 1
    assert "query exception: " in output.splitlines()[-1]


def test_mgconsole_fails_where_nobody_listens(server: Server) -> None:
    """Exit 1 without a traceback."""
    code, output = console(server, "RETURN 1;", "--port=1")

    assert code == 1
    assert len(output.splitlines()) == 1


def test_a_frozen_process_answers_no_health_check(server: Server) -> None:
    """The check can fail: one process holds the data and answers."""
    with server.frozen(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("memgraph_standin.console.TIMEOUT", 0.2)
        assert console(server, "RETURN 1;")[0] == 1
    assert console(server, "RETURN 1;")[0] == 0


def test_the_monitoring_port_takes_a_websocket(server: Server) -> None:
    """Lab connects there; RFC 6455's handshake is answered."""
    key = base64.b64encode(bytes(16)).decode()
    guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    expected = base64.b64encode(hashlib.sha1((key + guid).encode()).digest())
    with socket.create_connection(("127.0.0.1", server.ports["monitoring"])) as peer:
        peer.settimeout(DEADLINE)
        peer.sendall(f"GET / HTTP/1.1\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        answer = peer.recv(4096)

    assert answer.startswith(b"HTTP/1.1 101 ")
    assert expected in answer


def test_garbage_closes_one_connection_only(server: Server) -> None:
    """Bytes that are no Bolt do not reach the others."""
    for data in (b"GET / HTTP/1.0\r\n\r\n", b"\x60\x60\xb0\x17" + bytes(16)):
        with socket.create_connection(("127.0.0.1", server.ports["bolt"])) as peer:
            peer.settimeout(DEADLINE)
            peer.sendall(data)
            assert peer.recv(64) in (b"", bytes(4))
    assert console(server, "RETURN 1;")[0] == 0


def test_a_stop_is_clean_and_writes_a_snapshot(
    starter: Starter, tmp_path: Path
) -> None:
    """Exit 0 on SIGTERM, and the next start has the data without a log."""
    server = starter.start(MEMGRAPH, tmp_path)
    assert console(server, "CREATE (n:Stopped);")[0] == 0
    assert server.stop() == 0
    for path in (tmp_path / "wal").iterdir():
        path.unlink()
    server = starter.start(MEMGRAPH, tmp_path)

    assert console(server, "MATCH (n) RETURN count(n);")[1].split()[1] == "1"


def test_a_second_process_may_not_use_the_directory(server: Server) -> None:
    """Two writers on one volume are refused."""
    arguments = MEMGRAPH.arguments(server.root, server.ports)
    code, output = refusal(MEMGRAPH, arguments, {})

    assert code == 1
    assert "acquire lock" in output


def test_the_environments_user_must_sign_in(starter: Starter, tmp_path: Path) -> None:
    """Once there is a user, others stay out; a later password changes nothing."""
    environment = {"MEMGRAPH_USER": "app", "MEMGRAPH_PASSWORD": "first"}
    starter.start(MEMGRAPH, tmp_path, environment=environment).stop()
    passfile = tmp_path / "passfile"
    passfile.write_text("app:second\n")
    server = starter.start(
        MEMGRAPH, tmp_path, environment={"MEMGRAPH_PASSFILE": str(passfile)}
    )

    right = ["--username=app", "--password=first"]
    wrong = ["--username=app", "--password=second"]
    assert console(server, "RETURN 1;", *right)[0] == 0
    assert console(server, "RETURN 1;", *wrong)[0] == 1
    assert console(server, "RETURN 1;")[0] == 1
    url = f"bolt://127.0.0.1:{server.ports['bolt']}"
    driver = neo4j.GraphDatabase.driver(url, auth=("app", "nope"))
    with driver, pytest.raises(ClientError, match="Authentication failure"):
        driver.verify_connectivity()


def test_tls_is_spoken_with_certificate_and_key(
    starter: Starter, tmp_path: Path
) -> None:
    """A client that trusts the CA gets in; with another CA or in clear it does not."""
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(cert)
    certificate.private_key_pem.write_to_path(key)
    flags = [f"--bolt-cert-file={cert}", f"--bolt-key-file={key}"]
    server = starter.start(MEMGRAPH, tmp_path / "data", arguments=flags)

    assert console(server, "RETURN 1;", "--use-ssl=true")[0] == 0
    assert console(server, "RETURN 1;")[0] == 1
    for ca, trusted in ((authority, True), (other, False)):
        ca.cert_pem.write_to_path(tmp_path / "ca.pem")
        assert trusted is connects(server, tmp_path / "ca.pem")


def connects(server: Server, authority: Path) -> bool:
    """Tell whether the driver verifies the server with this CA."""
    driver = neo4j.GraphDatabase.driver(
        f"bolt://127.0.0.1:{server.ports['bolt']}",
        encrypted=True,
        trusted_certificates=neo4j.TrustCustomCAs(str(authority)),
    )
    with driver:
        try:
            driver.verify_connectivity()
        except ServiceUnavailable:
            return False
        return True


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--config", "/etc/memgraph/memgraph.conf"], "unknown command line flag 'co"),
        (["memgraph", "--log-level=DEBUG"], "Unexpected positional argument"),
        (["--memory-limit=12G"], "illegal value '12G'"),
        (["--bolt-cert-file=/none", "--bolt-key-file=/none"], "/none"),
        (["--data-directory=/proc/none"], "/proc/none"),
    ],
)
def test_what_memgraph_refuses_is_refused(
    flags: list[str], said: str, tmp_path: Path
) -> None:
    """Exit 1 with the reason in one line."""
    code, output = refusal(MEMGRAPH, [f"--data-directory={tmp_path}", *flags], {})

    assert code == 1
    assert said in output
    assert len(output.splitlines()) == 1
