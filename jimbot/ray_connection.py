"""The application's one connection to the Ray cluster."""

import asyncio
import logging
import queue
import threading
from concurrent.futures import Future
from typing import Optional

logger = logging.getLogger(__name__)


class RayConnection:
    """A Ray client connection that lives in a thread of its own.

    Ray's client blocks, for as long as a frozen cluster does; only that thread waits
    for it. A question asked meanwhile joins the one that is still open, so a frozen
    cluster holds one thread and one call, however often it is asked about.
    """

    def __init__(self, address: str) -> None:
        """Prepare a connection to *address* (``ray://host:port``); connects later."""
        self._server = address[len("ray://") :]
        self._open: "Optional[Future[None]]" = None
        self._work: "queue.SimpleQueue[Optional[Future[None]]]" = queue.SimpleQueue()
        # A daemon, since a frozen cluster must not hold up the interpreter's exit.
        self._thread = threading.Thread(target=self._run, name="ray", daemon=True)
        self._thread.start()

    def connect(self) -> None:
        """Start connecting, so that the first question need not wait for it."""
        if self._open is None or self._open.done():
            self._open = Future()
            self._work.put(self._open)

    async def ask(self) -> None:
        """Ask the cluster for its resources; connects first where that is needed.

        Raises what Ray raises. Cancelling stops the wait, not the question.
        """
        self.connect()
        assert self._open is not None
        await asyncio.shield(asyncio.wrap_future(self._open))

    def close(self, *, seconds: float) -> None:
        """Leave the cluster; give up after *seconds*."""
        self._work.put(None)
        self._thread.join(seconds)

    def _run(self) -> None:
        for question in iter(self._work.get, None):
            try:
                question.set_result(self._ask())
            except Exception as error:  # noqa: BLE001
                logger.warning("ray: %s: %s", type(error).__name__, error)
                self._disconnect()
                question.set_exception(error)
        self._disconnect()

    def _ask(self) -> None:
        # Imported here: it takes a second, and the thread has it to spare.
        import ray
        from ray.util.client_connect import connect

        if not ray.util.client.ray.is_connected():
            # One attempt: Ray's own retries would sleep longer each time.
            connect(self._server, connection_retries=1)
            logger.info("connected to ray at %s", self._server)
        ray.cluster_resources()

    def _disconnect(self) -> None:
        from ray.util.client_connect import disconnect

        try:
            disconnect()
        except Exception as error:  # noqa: BLE001
            logger.warning("ray: leaving failed: %s", error)
