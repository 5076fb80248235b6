"""Whose port it is: the project's own, another container's, a process's, nobody's."""

import errno
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fakes import container
from judging import STACK, judge

from compose_ops.docker.api import Container, PublishedPort
from compose_ops.doctor.facts import ports
from compose_ops.doctor.facts.settings import Settings
from compose_ops.project.model import Model
from compose_ops.runtime.engine_location import EngineLocation
from compose_ops.verdicts import Row

HERE = EngineLocation(is_local=True, is_rootless=False, remaps_users=False)


def model(number: object, host: str = "127.0.0.1") -> Model:
    port = {"host_ip": host, "published": str(number), "target": 8000}
    return Model({"name": "trial", "services": {"app": {"ports": [port]}}})


def holder(number: int, host: str, project: str = "another") -> Container:
    published = (PublishedPort(host, number, 8000, "tcp"),)
    return container("web", name="web", project=project, published=published)


def row(wanted: Model, *there: Container, place: EngineLocation = HERE) -> Row:
    found = ports.port_facts(wanted, ("app",), there, place)
    settings = Settings({}, {}, {}, in_force={"APP_PORT": "1"})
    return judge("ports-free", stack=STACK, port_facts=found, settings=settings)


@pytest.fixture
def number() -> Iterator[int]:
    """Return a port that is free on every address."""
    with socket.socket() as plug:
        plug.bind(("", 0))
        yield int(plug.getsockname()[1])


@pytest.fixture(autouse=True)
def _nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "try_bind", lambda _port: 0)


def test_own_port_is_fine(number: int) -> None:
    own = holder(number, "127.0.0.1", "trial")

    assert row(model(number), own).outcome == "ok"


def test_own_port_of_a_paused_container_is_fine(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds its port; the engine's proxy must not be taken for a stranger."""
    monkeypatch.setattr(ports, "try_bind", lambda _port: errno.EADDRINUSE)
    own = replace(holder(number, "127.0.0.1", "trial"), state="paused")

    assert row(model(number), own).outcome == "ok"


@pytest.mark.parametrize(
    ("host", "theirs"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.1"),
        ("", "::"),
        ("::1", "::"),
    ],
)
def test_port_of_another_container_is_held(host: str, theirs: str) -> None:
    found = row(model(8000, host), holder(8000, theirs))

    assert found.outcome == "fail"
    assert "is used by the container web" in found.detail


@pytest.mark.parametrize(
    ("host", "theirs"),
    [("127.0.0.1", "127.0.0.2"), ("192.0.2.1", "192.0.2.2"), ("127.0.0.1", "::")],
)
def test_same_port_on_another_address_is_free(host: str, theirs: str) -> None:
    """Two stacks may share a port number, each on its own address."""
    assert row(model(8000, host), holder(8000, theirs)).outcome == "ok"


def test_another_holder_counts_before_our_own() -> None:
    own, other = holder(8000, "127.0.0.1", "trial"), holder(8000, "127.0.0.2")

    assert row(model(8000, ""), own, other).outcome == "fail"


def test_port_that_the_engine_chooses_is_free() -> None:
    for published in (0, "8000-8010"):
        assert row(model(published), holder(8000, "127.0.0.1")).outcome == "ok"


@pytest.mark.parametrize(
    ("line", "is_held"),
    [
        ("0100007F:0050", True),
        ("00000000:0050", True),
        ("0200007F:0050", False),
        (f"{'0' * 32}:0050", True),
        (f"{'0' * 32}:0051", False),
    ],
)
def test_port_that_this_user_may_not_bind_is_looked_up(
    monkeypatch: pytest.MonkeyPatch, line: str, *, is_held: bool
) -> None:
    """Below 1024 a plain user cannot try; the kernel's table tells."""
    lines = [f"0: {line} 00000000:0000 0A 0:0 0:0 0 0 0 4711 1 0"]

    def inodes(file: str, number: int, host: str = "") -> Iterator[Any]:
        yield from ports.listening(
            lines if file == "tcp" else [], number, host, is_udp=False
        )

    monkeypatch.setattr(ports, "try_bind", lambda _port: errno.EACCES)
    monkeypatch.setattr(ports, "_inodes", inodes)
    monkeypatch.setattr(ports, "listener", lambda _number: "")

    assert row(model(80)).outcome == ("fail" if is_held else "ok")


def test_addresses_of_the_kernels_table_are_read() -> None:
    assert ports.address_of("0100007F") == "127.0.0.1"
    assert ports.address_of("0" * 24 + "01000000") == "::1"
    assert ports.address_of("0" * 32) == "::"


def test_process_that_listens_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "pid" in ports.listener(server.getsockname()[1])


def test_remote_engines_ports_are_not_tried_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What listens on this machine is in nobody's way there."""
    far = EngineLocation(
        is_local=False, is_rootless=False, remaps_users=False, why="far away"
    )
    monkeypatch.setattr(ports, "try_bind", lambda _port: errno.EADDRINUSE)
    found = ports.port_facts(model(8000), ("app",), (), far)
    settings = Settings({}, {}, {})

    for name in ("ports-free", "bind-address"):
        judged = judge(name, stack=STACK, port_facts=found, settings=settings)
        assert judged.outcome == "skipped"
        assert "far away" in judged.detail
    assert row(model(8000), holder(8000, ""), place=far).outcome == "fail"
