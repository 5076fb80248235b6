"""
Leaving without dropping a request.

A draining process says so on /health and goes on serving, so that whatever sends it
requests can look elsewhere; only then does it stop accepting.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

import uvicorn


class Draining:
    """Whether this process is draining, and for how long it has been."""

    def __init__(self) -> None:
        """Begin as a process that is not draining."""
        self._since: float | None = None

    def start(self) -> None:
        """Drain from now on; does nothing where that was said before."""
        if self._since is None:
            self._since = time.monotonic()

    def __bool__(self) -> bool:
        return self._since is not None

    @property
    def seconds(self) -> float:
        """How long the process has been draining; 0 where it is not."""
        return 0.0 if self._since is None else time.monotonic() - self._since


class DrainingServer(uvicorn.Server):
    """
    A server that drains on SIGUSR1, and drains and then stops on SIGTERM.

    After *drain_seconds* of draining it stops accepting, finishes the requests in
    flight (for as long as *config* allows) and ends normally. SIGINT skips the
    draining; a second SIGINT skips the requests in flight as well.
    """

    def __init__(
        self, config: uvicorn.Config, draining: Draining, drain_seconds: float
    ) -> None:
        """Prepare to serve *config*'s application."""
        super().__init__(config)
        self._draining = draining
        self._drain_seconds = drain_seconds
        self._leaving = False
        signal.signal(signal.SIGUSR1, lambda *_: draining.start())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """
        Note that the process was told to end.

        The signal is not kept for uvicorn to raise again at the end: a stop that went
        well has exit code 0.
        """
        del frame
        if sig == signal.SIGINT:
            self.force_exit = self.should_exit
            self.should_exit = True
        self._draining.start()
        self._leaving = True

    async def on_tick(self, counter: int) -> bool:
        """Say ten times a second whether it is time to stop accepting."""
        if self._leaving and self._draining.seconds >= self._drain_seconds:
            self.should_exit = True
        return await super().on_tick(counter)
