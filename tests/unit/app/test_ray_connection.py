"""A cluster that blocks or fails, and what the connection makes of it."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import ModuleType, SimpleNamespace

import pytest

from jimbot.ray_connection import RayConnection

SECONDS = 5.0


class Task:
    """A task of the cluster, which ends when a test says so."""

    def __init__(self, *given: int) -> None:
        self.given = given
        self.ended: Future[int] = Future()

    def future(self) -> Future[int]:
        return self.ended


class Cluster:
    """Stands where the Ray client is imported from."""

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.disconnected = 0
        self.questions = 0
        self.running = threading.Event()
        self.running.set()
        self.failure: Exception | None = None
        self.before: Callable[[], None] = lambda: None
        self.by_value: list[ModuleType] = []
        self.submitted: list[Task] = []
        self.cancelled: list[Task] = []
        self.cloudpickle = SimpleNamespace(
            register_pickle_by_value=self.by_value.append
        )

    def connect(self, server: str, *, connection_retries: int) -> None:
        assert connection_retries == 1
        self.connected.append(server)

    def disconnect(self) -> None:
        self.disconnected += 1

    def cluster_resources(self) -> dict[str, float]:
        self.questions += 1
        self.before()
        assert self.running.wait(SECONDS)
        if self.failure:
            raise self.failure
        return {"CPU": 2.0}

    def remote(self, function: Callable[..., int]) -> SimpleNamespace:
        assert function is double

        def submit(*given: int) -> Task:
            self.submitted.append(Task(*given))
            return self.submitted[-1]

        return SimpleNamespace(remote=submit)

    def cancel(self, task: Task) -> None:
        self.cancelled.append(task)


def double(number: int) -> int:
    return 2 * number


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    cluster = Cluster()
    ray, util, client = (
        ModuleType(name) for name in ("ray", "ray.util", "ray.util.client_connect")
    )
    for module, names in (
        (ray, ["cluster_resources", "remote", "cancel", "cloudpickle"]),
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


def test_tasks_get_their_code_by_value_and_answer_as_they_end(
    cluster: Cluster, connection: RayConnection
) -> None:
    module = sys.modules[__name__]

    async def run() -> list[int]:
        async with connection.tasks(module, double, [(1,), (2,)]) as running:
            for task in reversed(cluster.submitted):
                task.ended.set_result(double(*task.given))
            return [await result for result in running]

    assert asyncio.run(run()) == [2, 4]
    assert cluster.by_value == [module]
    assert cluster.cancelled == []


def test_tasks_that_nobody_waits_for_any_more_are_cancelled(
    cluster: Cluster, connection: RayConnection
) -> None:
    """What a task then ends with goes nowhere, and harms nobody."""

    async def run() -> None:
        work = [(1,), (2,)]
        async with connection.tasks(sys.modules[__name__], double, work) as running:
            cluster.submitted[0].ended.set_result(2)
            await running[0]

    asyncio.run(run())
    asyncio.run(connection.ask())
    assert cluster.cancelled == [cluster.submitted[1]]
    cluster.submitted[1].ended.set_exception(RuntimeError("cancelled"))


def test_a_failed_task_fails_who_waits_for_it(
    cluster: Cluster, connection: RayConnection
) -> None:
    async def run() -> None:
        async with connection.tasks(sys.modules[__name__], double, [(1,)]) as running:
            cluster.submitted[0].ended.set_exception(RuntimeError("worker died"))
            await running[0]

    with pytest.raises(RuntimeError, match="worker died"):
        asyncio.run(run())


def test_tasks_find_a_cluster_that_was_started_anew(
    cluster: Cluster, connection: RayConnection
) -> None:
    asyncio.run(connection.ask())
    asked = cluster.questions

    def lost_once() -> None:
        cluster.failure = None if cluster.questions > asked + 1 else ConnectionError()

    async def run() -> int:
        async with connection.tasks(sys.modules[__name__], double, [(1,)]) as running:
            cluster.submitted[0].ended.set_result(2)
            return await running[0]

    cluster.before = lost_once
    assert asyncio.run(run()) == 2
    assert len(cluster.connected) == 2
