"""The application's one connection to the Ray cluster."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, Callable, TypeVar

from jimbot.readiness import reason

logger = logging.getLogger(__name__)


T = TypeVar("T")
Work = Callable[[Any], Any]  # gets the module ray, connected


class RayConnection:
    """
    A Ray client connection that lives in a thread of its own.

    Ray's client blocks, for as long as a frozen cluster does; only that thread waits
    for it. A question asked meanwhile joins the one that is still open, so a frozen
    cluster holds one thread and one call, however often it is asked about.
    """

    def __init__(self, address: str) -> None:
        """Prepare a connection to *address* (``ray://host:port``); connects later."""
        self._server = address[len("ray://") :]
        self._connected = False
        self._open: Future[None] | None = None
        self._work: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        # A daemon, since a frozen cluster must not hold up the interpreter's exit.
        self._thread = threading.Thread(target=self._run, name="ray", daemon=True)
        self._thread.start()

    def connect(self) -> Future[None]:
        """
        Start asking, and connecting where that is needed, without waiting.

        Started early, it spares the first question the seconds that connecting takes.
        """
        if self._open is None or self._open.done():
            # Kept, it cannot be cancelled by one who waited for it and gave up.
            self._open = self._do(lambda ray: ray.cluster_resources(), kept=True)
        return self._open

    async def ask(self) -> None:
        """
        Ask the cluster for its resources; connects first where that is needed.

        Raises what Ray raises. Cancelling stops the wait, not the question.
        """
        await asyncio.wrap_future(self.connect())

    @asynccontextmanager
    async def tasks(
        self,
        module: ModuleType,
        function: Callable[..., T],
        arguments: Iterable[Sequence[Any]],
    ) -> AsyncIterator[Sequence[Awaitable[T]]]:
        """
        Run *function* of *module* on the cluster, once for each of *arguments*.

        Yields what waits for the results; tasks that are not done at the end of the
        block are cancelled. The cluster gets the module's functions by value: it may
        have another version of the application's code, or none. Raises what Ray raises.
        """
        try:
            await self.ask()
        except Exception:  # noqa: BLE001  # it has left the cluster: connects anew
            await self.ask()

        def start(ray: Any) -> Sequence[tuple[Any, Future[T]]]:
            ray.cloudpickle.register_pickle_by_value(module)
            remote = ray.remote(function)
            references = [remote.remote(*given) for given in arguments]
            return [(reference, _result(reference)) for reference in references]

        started = await asyncio.wrap_future(self._do(start))
        results = [asyncio.wrap_future(result) for _, result in started]
        try:
            yield results
        finally:
            for waited in results:
                waited.cancel()
            left = [task for task, result in started if not result.done()]
            if left:
                self._do(lambda ray: [ray.cancel(task) for task in left])

    def close(self, *, seconds: float) -> None:
        """Leave the cluster; give up after *seconds*."""
        self._work.put(None)
        self._thread.join(seconds)

    def _do(self, work: Work, *, kept: bool = False) -> Future[Any]:
        future: Future[Any] = Future()
        if kept:
            future.set_running_or_notify_cancel()
        self._work.put((work, future))
        return future

    def _run(self) -> None:
        for work, future in iter(self._work.get, None):
            if not (future.running() or future.set_running_or_notify_cancel()):
                continue
            try:
                future.set_result(work(self._cluster()))
            except Exception as error:  # noqa: BLE001
                logger.warning("ray: %s", reason(error))
                future.set_exception(error)
                self._disconnect()
        self._disconnect()

    def _cluster(self) -> ModuleType:
        # Imported here: it takes a second, and the thread has it to spare.
        import ray
        from ray.util.client_connect import connect

        if not self._connected:
            # One attempt: Ray's own retries would sleep longer each time.
            connect(self._server, connection_retries=1)
            self._connected = True
            logger.info("connected to ray at %s", self._server)
        cluster: ModuleType = ray
        return cluster

    def _disconnect(self) -> None:
        self._connected = False
        try:
            from ray.util.client_connect import disconnect

            disconnect()
        except Exception as error:  # noqa: BLE001
            logger.warning("ray: leaving failed: %s", reason(error))


def _result(reference: Any) -> Future[Any]:
    """Return a future for a task's result that nobody can cancel under Ray's hands."""
    result: Future[Any] = Future()
    result.set_running_or_notify_cancel()

    def settle(done: Future[Any]) -> None:
        error = done.exception()
        if error is None:
            result.set_result(done.result())
        else:
            result.set_exception(error)

    reference.future().add_done_callback(settle)
    return result
