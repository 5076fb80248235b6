"""The EventStoreDB stand-in as its clients see it."""

import json
import socket
import ssl
import struct
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from standin_servers import (
    DEADLINE,
    EVENTSTORE,
    Server,
    Starter,
    free_ports,
    refusal,
    starting,
)

EVENTS = {"Content-Type": "application/vnd.eventstore.events+json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with starting() as starter:
        yield starter.start(EVENTSTORE, tmp_path_factory.mktemp("eventstore") / "data")


@pytest.fixture
def starter() -> Iterator[Starter]:
    with starting() as starter:
        yield starter


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    url = f"http://127.0.0.1:{server.ports['http']}"
    with httpx.Client(base_url=url, verify=False) as client:
        yield client


def event(**data: Any) -> dict[str, Any]:
    return {"eventId": str(uuid.uuid4()), "eventType": "made", "data": data}


def test_it_is_alive_as_the_health_check_asks(client: httpx.Client) -> None:
    """204, or the code that a prober prefers."""
    assert client.get("/health/live").status_code == httpx.codes.NO_CONTENT
    assert client.get("/health/live?liveCode=200").status_code == httpx.codes.OK
    assert client.get("/ping").is_success


def test_operator_is_told_whether_a_scavenge_runs(client: httpx.Client) -> None:
    """In JSON only when that is asked for; by name or as the current one it ends."""
    json_please = {"Accept": "application/json"}
    current = "/admin/scavenge/current"
    nothing = {"scavengeId": "", "scavengeLink": ""}
    assert client.get(current, headers=json_please).json() == nothing
    assert client.get(current).text == "ScavengeId: , ScavengeLink: "

    begun = client.post("/admin/scavenge").json()["scavengeId"]
    assert client.get(current, headers=json_please).json()["scavengeId"] == begun
    assert client.post("/admin/scavenge").status_code == httpx.codes.BAD_REQUEST

    assert client.delete(f"/admin/scavenge/{begun}").is_success
    assert client.delete(current).status_code == httpx.codes.NOT_FOUND
    assert client.get(current, headers=json_please).json() == nothing


def test_node_information_has_eventstores_shape(client: httpx.Client) -> None:
    """Version, role and authentication."""
    info = client.get("/info").json()

    assert info["esVersion"].startswith("23.10.0")
    assert info["state"] == "leader"
    assert info["authentication"]["type"] == "insecure"
    assert client.get("/gossip").json()["members"][0]["state"] == "Leader"


def test_events_are_appended_and_read(client: httpx.Client) -> None:
    """One by one or several; by number, from the head, as a feed, of all streams."""
    single = {"ES-EventType": "made", "ES-EventId": str(uuid.uuid4())}
    first = client.post("/streams/read", json={"n": 0}, headers=single)
    more = [event(n=1), event(n=2) | {"metadata": {"m": 1}}]
    second = client.post("/streams/read", content=json.dumps(more), headers=EVENTS)

    assert first.status_code == second.status_code == httpx.codes.CREATED
    assert first.headers["location"].endswith("/streams/read/0")
    assert second.headers["location"].endswith("/streams/read/1")
    assert client.get("/streams/read/1").json() == {"n": 1}
    assert client.get("/streams/read/head").json() == {"n": 2}
    feed = client.get("/streams/read?embed=body").json()
    assert [entry["eventNumber"] for entry in feed["entries"]] == [2, 1, 0]
    assert json.loads(feed["entries"][0]["metaData"]) == {"m": 1}
    page = client.get("/streams/read/1/forward/1").json()
    assert [entry["title"] for entry in page["entries"]] == ["1@read"]
    everything = client.get("/streams/$all/head/backward/3?embed=body").json()
    assert {entry["streamId"] for entry in everything["entries"]} == {"read"}


def test_counts_are_in_the_statistics(client: httpx.Client) -> None:
    """A backup compares them; the real checkpoint is there too."""
    before = client.get("/stats").json()["es"]
    client.post("/streams/counted", content=json.dumps([event()] * 1), headers=EVENTS)
    after = client.get("/stats").json()["es"]

    assert after["standIn"]["events"] == before["standIn"]["events"] + 1
    assert after["standIn"]["streams"]["counted"] == 1
    assert after["checksum"] > before["checksum"]


def test_the_same_event_is_stored_once(client: httpx.Client) -> None:
    """A retry with the same id is answered as the first."""
    content = json.dumps([event(n=1)])
    answers = [
        client.post("/streams/once", content=content, headers=EVENTS) for _ in range(2)
    ]

    assert len({answer.headers["location"] for answer in answers}) == 1
    assert client.get("/streams/once/1").status_code == httpx.codes.NOT_FOUND


@pytest.mark.parametrize(("expected", "status"), [(-1, 201), (0, 400), (-2, 201)])
def test_the_expected_version_is_kept(
    client: httpx.Client, expected: int, status: int
) -> None:
    """As a writer that knows the stream's last event demands."""
    headers = EVENTS | {"ES-ExpectedVersion": str(expected)}
    path = f"/streams/version-{expected}"
    answer = client.post(path, content=json.dumps([event()]), headers=headers)

    assert answer.status_code == status
    assert answer.headers.get("es-currentversion") == ("-1" if status == 400 else None)


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        (b"{", EVENTS),
        (b"[1]", EVENTS),
        (b'[{"eventType":"x","eventId":"no"}]', EVENTS),
        (b"{}", {"Content-Type": "application/json"}),
        (b"[" + b" " * 1024 * 1024 + b"]", EVENTS),
    ],
)
def test_bad_events_are_refused(
    client: httpx.Client, content: bytes, headers: dict[str, str]
) -> None:
    """Status 400, and nothing is stored."""
    answer = client.post("/streams/bad", content=content, headers=headers)

    assert answer.status_code == httpx.codes.BAD_REQUEST
    assert client.get("/streams/bad").status_code == httpx.codes.NOT_FOUND


def test_other_requests_get_one_line_that_says_what_it_is(client: httpx.Client) -> None:
    """Nobody takes the stand-in for EventStoreDB."""
    answer = client.get("/projections/all-non-transient")

    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "stand-in for EventStoreDB, not EventStoreDB" in answer.text
    assert len(answer.text.splitlines()) == 1


def test_the_tcp_port_answers_heartbeats(server: Server) -> None:
    """A heartbeat with its correlation; anything else is a bad request."""
    correlation = uuid.uuid4().bytes
    with socket.create_connection(("127.0.0.1", server.ports["tcp"])) as peer:
        peer.settimeout(DEADLINE)
        for sent, expected in ((0x01, 0x02), (0x03, 0x04), (0x82, 0xF0)):
            body = bytes([sent, 0]) + correlation
            peer.sendall(struct.pack("<I", len(body)) + body)
            stream = peer.makefile("rb")
            (size,) = struct.unpack("<I", stream.read(4))
            answer = stream.read(size)
            assert answer[0] == expected
            assert answer[2:18] == correlation


def test_a_frozen_process_answers_no_health_check(
    server: Server, client: httpx.Client
) -> None:
    """The process that holds the data answers the check."""
    with server.frozen(), pytest.raises(httpx.TimeoutException):
        client.get("/health/live", timeout=0.2)
    assert client.get("/health/live").is_success


def test_a_stop_is_clean(starter: Starter, tmp_path: Path) -> None:
    """Exit 0 on SIGTERM; without AtomPub streams are not there."""
    server = starter.start(
        EVENTSTORE,
        tmp_path,
        environment={"EVENTSTORE_ENABLE_ATOM_PUB_OVER_HTTP": "false"},
    )
    url = f"http://127.0.0.1:{server.ports['http']}/streams/x"
    posted = httpx.post(url, content=json.dumps([event()]), headers=EVENTS)

    assert posted.status_code == httpx.codes.NOT_FOUND
    assert server.stop() == 0


def test_tls_and_the_administrators_password(starter: Starter, tmp_path: Path) -> None:
    """HTTPS only, verified against the right CA; streams need the password."""
    environment = certificates(tmp_path)
    server = starter.start(EVENTSTORE, tmp_path / "data", environment=environment)
    url = f"https://127.0.0.1:{server.ports['http']}"
    trusting = ssl.create_default_context(cafile=tmp_path / "ca" / "ca.pem")

    with httpx.Client(base_url=url, verify=trusting) as client:
        assert client.get("/health/live").is_success
        for auth, written, read in [
            (None, 401, 401),
            (("admin", "no"), 401, 401),
            (("admin", "changeit"), 201, 200),
        ]:
            posted = client.post(
                "/streams/x",
                content=json.dumps([event()]),
                headers=EVENTS,
                auth=auth or httpx.USE_CLIENT_DEFAULT,
            )
            assert posted.status_code == written
            for path in ("/streams/$all", "/streams/x", "/admin/scavenge/current"):
                assert client.get(path, auth=auth).status_code == read
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(f"{url}/health/live")
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{server.ports['http']}/health/live")


def certificates(folder: Path) -> dict[str, str]:
    """Make a CA and a node's certificate; the environment that uses them."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "eventstore")
    (folder / "ca").mkdir()
    authority.cert_pem.write_to_path(folder / "ca" / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "node.crt")
    certificate.private_key_pem.write_to_path(folder / "node.key")
    return {
        "EVENTSTORE_INSECURE": "false",
        "EVENTSTORE_CERTIFICATE_FILE": str(folder / "node.crt"),
        "EVENTSTORE_CERTIFICATE_PRIVATE_KEY_FILE": str(folder / "node.key"),
        "EVENTSTORE_TRUSTED_ROOT_CERTIFICATES_PATH": str(folder / "ca"),
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"EVENTSTORE_INSECURE": "false"}, "A certificate is required unless insecure"),
        ({"EVENTSTORE_HOST": "x"}, "The option Host is not a known option."),
        ({"EVENTSTORE_HTTP_PORT": "x"}, "HttpPort must be a number"),
        ({"EVENTSTORE_DEFAULT_ADMIN_PASSWORD": "x"}, "insecure mode"),
        ({"EVENTSTORE_DB": "/proc/none"}, "/proc/none"),
    ],
)
def test_what_eventstore_refuses_is_refused(
    changes: dict[str, str], said: str, tmp_path: Path
) -> None:
    """Exit 1 with the reason in one line."""
    code, output = refusal(EVENTSTORE, [], environment_of(tmp_path) | changes)

    assert code == 1
    assert said in output
    assert len(output.splitlines()) == 1


def test_a_foreign_ca_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    """The node's own certificate must chain up to a trusted root."""
    secure = certificates(tmp_path)
    given = environment_of(tmp_path / "data") | secure
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca" / "ca.pem")
    assert "certificate chain" in refusal(EVENTSTORE, [], given)[1]

    del given["EVENTSTORE_TRUSTED_ROOT_CERTIFICATES_PATH"]
    assert "TrustedRootCertificatesPath" in refusal(EVENTSTORE, [], given)[1]


def environment_of(root: Path) -> dict[str, str]:
    ports = dict(zip(EVENTSTORE.ports, free_ports(2), strict=True))
    return EVENTSTORE.environment(root, ports)
