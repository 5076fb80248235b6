"""Requests through the gateway at a steady rate, from before an update to after it."""

import json
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from compose_ops.docker.api import Engine, InteractiveRun, RunSpec
from compose_ops.errors import ComposeOpsError
from compose_ops.rollout import open_loop
from compose_ops.rollout.open_loop import OpenLoop
from compose_ops.rollout.policy import ProbeSettings
from compose_ops.rollout.statistics import Request, TrafficReport, proof

RATE, LEAST_RATE = 60.0, 50.0
SILENCE = 30.0
SOURCE = Path(open_loop.__file__)


@dataclass(frozen=True, slots=True)
class ProbeHost:
    """Where the ports are, on another machine: a helper there sends the requests."""

    engine: Engine
    spec: RunSpec


@dataclass
class TrafficProbe:
    """
    A client of the gateway, as `OpenLoop` is one, and what became of its requests.

    Whatever comes instead of an answer is a failure, and so is a client that sends too
    little. It runs on *elsewhere*, or on this machine.
    """

    host: str
    port: int
    traffic: ProbeSettings
    rate: float = RATE
    elsewhere: ProbeHost | None = None
    requests: list[Request] = field(default_factory=list)
    begin: float = 0.0
    change: float = 0.0
    _spent: float = 0.0
    _helper: ExitStack = field(default_factory=ExitStack)
    _talk: InteractiveRun | None = None
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        secure = self.traffic.scheme == "https"
        self._loop = OpenLoop(
            host=self.host,
            port=self.port,
            header=self.traffic.host_header(self.host, self.port),
            name=(self.traffic.host or self.host) if secure else "",
            page=self.traffic.page,
            echo=self.traffic.echo,
            rate=self.rate,
        )

    def start(self) -> None:
        """Begin; EngineError where the helper does not start."""
        if self.elsewhere:
            run = self.elsewhere.engine.run_interactive(self.elsewhere.spec)
            self._talk = self._helper.enter_context(run)
            try:
                self._talk.send(json.dumps(open_loop.described(self._loop)))
                self._talk.receive(SILENCE)
            except BaseException:
                self._helper.close()
                raise
        self.begin = self.change = time.monotonic()
        work = self._follow if self.elsewhere else self._run
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def mark_change(self) -> None:
        """Note that the first step begins now."""
        self.change = time.monotonic()

    def stop(self) -> TrafficReport:
        """Send nothing more, wait for what is on its way, and sum up."""
        if self._thread:
            self._spent = time.monotonic() - self.begin
            self._end()
            self._thread.join()
            self._thread = None
            with suppress(ComposeOpsError):
                self._helper.close()
        return self._sum(int(self._spent * LEAST_RATE))

    def summary(self) -> TrafficReport:
        """Return the sum up to now, whatever is on its way."""
        return self._sum(0)

    def _sum(self, least: int) -> TrafficReport:
        sent = list(self.requests)
        return proof(sent, begin=self.begin, change=self.change, least=least)

    def failure(self) -> str:
        """Return what was wrong with the first request that failed, or nothing."""
        return next((r.wrong for r in list(self.requests) if r.wrong), "")

    def _run(self) -> None:
        self._loop.run(self.begin, self._answered)

    def _answered(self, due: float, done: float, wrong: str) -> None:
        self.requests.append(Request(due=due, done=done, wrong=wrong))

    def _end(self) -> None:
        self._loop.end()
        if self._talk:
            with suppress(ComposeOpsError):
                self._talk.send("")

    def _follow(self) -> None:
        """Note what the helper reports; where it ends before, that proves nothing."""
        if self._talk is None:
            return
        try:
            while "spent" not in (words := json.loads(self._talk.receive(SILENCE))):
                due, done = self.begin + words["due"], self.begin + words["done"]
                self._answered(due, done, words["wrong"])
            self._spent = words["spent"]
        except (ComposeOpsError, ValueError) as broken:
            now = time.monotonic()
            self._answered(now, now, f"the probe on the engine's host ended: {broken}")
