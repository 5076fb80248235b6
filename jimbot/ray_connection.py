"""The application's one connection to the Ray cluster."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from concurrent.futures import Future

from jimbot.readiness import reason

logger = logging.getLogger(__name__)


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
        self._work: queue.SimpleQueue[Future[None] | None] = queue.SimpleQueue()
        # A daemon, since a frozen cluster must not hold up the interpreter's exit.
        self._thread = threading.Thread(target=self._run, name="ray", daemon=True)
        self._thread.start()

    def connect(self) -> Future[None]:
        """
        Start asking, and connecting where that is needed, without waiting.

        Started early, it spares the first question the seconds that connecting takes.
        """
        if self._open is None or self._open.done():
            self._open = Future()
            # Running, it cannot be cancelled by one who waited for it and gave up.
            self._open.set_running_or_notify_cancel()
            self._work.put(self._open)
        return self._open

    async def ask(self) -> None:
        """
        Ask the cluster for its resources; connects first where that is needed.

        Raises what Ray raises. Cancelling stops the wait, not the question.
        """
        await asyncio.wrap_future(self.connect())

    def close(self, *, seconds: float) -> None:
        """Leave the cluster; give up after *seconds*."""
        self._work.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        for question in iter(self._work.get, None):
            try:
                self._ask()
                question.set_result(None)
            except Exception as error:  # noqa: BLE001, PERF203
                logger.warning("ray: %s", reason(error))
                question.set_exception(error)
                self._disconnect()
        self._disconnect()

    def _ask(self) -> None:
        # Imported here: it takes a second, and the thread has it to spare.
        import ray
        from ray.util.client_connect import connect

        if not self._connected:
            # One attempt: Ray's own retries would sleep longer each time.
            connect(self._server, connection_retries=1)
            self._connected = True
            logger.info("connected to ray at %s", self._server)
        ray.cluster_resources()

    def _disconnect(self) -> None:
        self._connected = False
        try:
            from ray.util.client_connect import disconnect

            disconnect()
        except Exception as error:  # noqa: BLE001
            logger.warning("ray: leaving failed: %s", reason(error))
