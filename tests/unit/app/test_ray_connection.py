"""A cluster that blocks or fails, and what the connection makes of it."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

import pytest

from jimbot.ray_connection import RayConnection

SECONDS = 5.0


class Cluster:
    """Stands where the Ray client is imported from."""

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.disconnected = 0
        self.questions = 0
        self.running = threading.Event()
        self.running.set()
        self.failure: Exception | None = None

    def connect(self, server: str, *, connection_retries: int) -> None:
        assert connection_retries == 1
        self.connected.append(server)

    def disconnect(self) -> None:
        self.disconnected += 1

    def cluster_resources(self) -> dict[str, float]:
        self.questions += 1
        assert self.running.wait(SECONDS)
        if self.failure:
            raise self.failure
        return {"CPU": 2.0}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster()
    ray, util, client = (
        ModuleType(name) for name in ("ray", "ray.util", "ray.util.client_connect")
    )
    for module, names in (
        (ray, ["cluster_resources"]),
        (client, ["connect", "disconnect"]),
    ):
        for name in names:
            setattr(module, name, getattr(cluster, name))
    for module in (ray, util, client):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    yield cluster
    cluster.running.set()


@pytest.fixture
def connection(cluster: Cluster) -> Iterator[RayConnection]:
    connection = RayConnection("ray://head:10001")
    yield connection
    cluster.running.set()
    connection.close(seconds=SECONDS)


def test_one_connection_serves_many_questions(
    cluster: Cluster, connection: RayConnection
) -> None:
    asyncio.run(connection.ask())
    asyncio.run(connection.ask())

    assert cluster.connected == ["head:10001"]
    assert cluster.questions == 2


def test_questions_join_the_one_that_is_open(
    cluster: Cluster, connection: RayConnection
) -> None:
    cluster.running.clear()

    async def ask_and_give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connection.ask(), 0.05)

    for _ in range(3):
        asyncio.run(ask_and_give_up())
    assert cluster.questions == 1

    cluster.running.set()
    asyncio.run(connection.ask())
    assert len(cluster.connected) == 1


def test_failed_question_is_told_and_the_next_connects_anew(
    cluster: Cluster, connection: RayConnection
) -> None:
    cluster.failure = ConnectionError("gone")
    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(connection.ask())

    cluster.failure = None
    asyncio.run(connection.ask())

    assert len(cluster.connected) == 2
    assert cluster.disconnected == 1


def test_closing_leaves_the_cluster_and_gives_up_on_a_frozen_one(
    cluster: Cluster, connection: RayConnection
) -> None:
    cluster.running.clear()
    connection.connect()
    connection.close(seconds=0.05)
    assert cluster.disconnected == 0

    cluster.running.set()
    connection.close(seconds=SECONDS)
    assert cluster.disconnected == 1
