"""Each dependency is asked the real question, over TLS where an authority is given."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme
from standin_servers import EVENTSTORE, MEMGRAPH, QUESTDB, Starter
from standin_servers import Server as Running

from jimbot.dependencies import ask_eventstore, ask_memgraph, ask_questdb
from jimbot.readiness import reason
from jimbot.settings import Server

Ask = Callable[[Server], Awaitable[None]]


@pytest.fixture(scope="module")
def standins() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    starter.end()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.RSA)


@pytest.fixture(scope="module")
def memgraph(standins: Starter, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return standins.start(MEMGRAPH, tmp_path_factory.mktemp("memgraph"))


@pytest.fixture(scope="module")
def questdb(standins: Starter, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return standins.start(QUESTDB, tmp_path_factory.mktemp("questdb"))


@pytest.fixture(scope="module")
def eventstore(standins: Starter, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return standins.start(EVENTSTORE, tmp_path_factory.mktemp("eventstore"))


@pytest.fixture(scope="module")
def secure(
    standins: Starter, authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Running:
    """Return a Memgraph that speaks TLS."""
    root = tmp_path_factory.mktemp("secure")
    issued = authority.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    issued.private_key_pem.write_to_path(root / "key.pem")
    for blob in issued.cert_chain_pems:
        blob.write_to_path(root / "cert.pem", append=True)
    arguments = [
        f"--bolt-cert-file={root / 'cert.pem'}",
        f"--bolt-key-file={root / 'key.pem'}",
    ]
    return standins.start(MEMGRAPH, root / "data", arguments=arguments)


def asked(ask: Ask, server: Server, *, seconds: float = 20) -> None:
    """Ask once; raises what the question raises, or TimeoutError."""

    async def within_a_limit() -> None:
        await asyncio.wait_for(ask(server), seconds)

    asyncio.run(within_a_limit())


def refusal(ask: Ask, server: Server) -> str:
    """Ask a server that must be refused: the reason that is told."""
    with pytest.raises(Exception, match=r".") as refused:
        asked(ask, server)
    return reason(refused.value)


def test_servers_that_are_up_answer(
    memgraph: Running, questdb: Running, eventstore: Running
) -> None:
    asked(ask_memgraph, Server("127.0.0.1", memgraph.ports["bolt"]))
    asked(
        ask_questdb,
        Server("127.0.0.1", questdb.ports["pg"], user="admin", password="quest"),
    )
    asked(ask_eventstore, Server("127.0.0.1", eventstore.ports["http"]))


def test_wrong_password_is_not_an_answer(questdb: Running) -> None:
    server = Server("127.0.0.1", questdb.ports["pg"], user="admin", password="wrong")

    assert "password" in refusal(ask_questdb, server)


def test_frozen_server_is_no_answer(memgraph: Running) -> None:
    server = Server("127.0.0.1", memgraph.ports["bolt"])

    with memgraph.frozen(), pytest.raises(TimeoutError):
        asked(ask_memgraph, server, seconds=0.3)


def test_certificate_of_the_given_authority_is_trusted(
    secure: Running, authority: trustme.CA, tmp_path: Path
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = Server("localhost", secure.ports["bolt"], ca_file=str(tmp_path / "ca.pem"))
    asked(ask_memgraph, server)

    told = refusal(ask_memgraph, replace(server, host="127.0.0.1"))
    assert "IP address mismatch" in told


def test_certificate_of_a_foreign_authority_is_refused(
    secure: Running, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    ca_file = str(tmp_path / "ca.pem")

    for ask in (ask_memgraph, ask_eventstore):
        server = Server("localhost", secure.ports["bolt"], ca_file=ca_file)
        assert "certificate verify failed" in refusal(ask, server)


def test_missing_authority_is_told(secure: Running) -> None:
    server = Server("localhost", secure.ports["bolt"], ca_file="/nowhere/ca.pem")

    for ask in (ask_memgraph, ask_eventstore):
        with pytest.raises(FileNotFoundError):
            asked(ask, server)
