"""Start services behind their gateways: the first time, that takes a gap."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from compose_ops.console import say
from compose_ops.errors import UnhealthyError
from compose_ops.project.model import Model
from compose_ops.rollout import policy, steps
from compose_ops.rollout.network_helper import exchange
from compose_ops.rollout.policy import ProbeSettings
from compose_ops.runtime import health
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock

PERIOD = 0.05
ANSWER_SECONDS = 2.0
SERVED_SECONDS = 30.0
LOOK_SECONDS = 0.3
OF_A_PROXY = frozenset({502, 503, 504})
"""What a gateway answers itself while it has no replica to ask."""


def start(
    stack: StackContext,
    services: Iterable[str],
    compose: Callable[[], None],
    clock: Clock,
) -> None:
    """
    Let *compose* start *services*, those of our gateways under no name of their own.

    A service that serves without its gateway so far loses its ports to that one: the
    gap is announced, measured and told.
    """
    fronted = {
        name: traffic
        for name in services
        if (traffic := policy.traffic(stack.model.service(name))) and traffic.alias
    }
    running = {c.service for c in stack.refresh() if c.is_running}
    new = {n: t for n, t in fronted.items() if not {n, t.gateway} <= running}
    if not new:
        compose()
        return
    outages = [_outage(stack, n, t, clock) for n, t in new.items() if n in running]
    for outage in outages:
        outage.begin()
    try:
        _create_apart(stack, new)
        compose()
        _start_gateways(stack, new)
        for outage in outages:
            _wait_served(stack, outage)
    finally:
        for outage in outages:
            outage.end()
    for outage in outages:
        say(outage.told())


def _create_apart(stack: StackContext, new: Mapping[str, ProbeSettings]) -> None:
    """Create containers with no other service's way past the gateway to them."""
    gateways = [traffic.gateway for traffic in new.values()]
    stack.engine.up([*new, *gateways], start=False)
    for container in stack.refresh():
        if traffic := new.get(container.service):
            network = stack.model.network_name(traffic.network)
            steps.withdraw_names(stack.engine, container, keep=network)


def _start_gateways(stack: StackContext, new: Mapping[str, ProbeSettings]) -> None:
    """Start those that Compose had no reason to start: it was asked for others."""
    running = {c.service for c in stack.refresh() if c.is_running}
    idle = sorted({traffic.gateway for traffic in new.values()} - running)
    if idle:
        stack.engine.up(idle, dependencies=False)


@dataclass
class Outage:
    """
    How long a service does not serve at `port` of `host`, where that is known.

    The longest time between two answers that came from the service counts.
    """

    service: str
    traffic: ProbeSettings
    clock: Clock
    host: str = ""
    port: int = 0
    longest: float = 0.0
    _last: float = 0.0
    answered: bool = False
    _again: threading.Event = field(default_factory=threading.Event)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _gapped: bool = False

    def begin(self) -> None:
        """Say what is about to happen, and ask from now on."""
        say(
            f"{self.service} goes behind {self.traffic.gateway}, which takes over its "
            "ports: nobody is served until that one runs"
        )
        self._last = self.clock.now()
        if self.port:
            self._thread = threading.Thread(target=self._ask, daemon=True)
            self._thread.start()

    @property
    def is_over(self) -> bool:
        """Say whether the service answers again, if it answered before."""
        return self._again.is_set() or not (self._thread and self.answered)

    def end(self) -> None:
        self._ended.set()
        if self._thread:
            self._thread.join()

    def told(self) -> str:
        """Return what to say of it."""
        if not self.port:
            passed = self.clock.now() - self._last
            return f"{self.service} did not serve for {passed:.1f} s at most"
        if not self._again.is_set():
            return f"{self.service} answers no requests, as before"
        return f"{self.service} did not serve for {self.longest:.1f} s"

    def _ask(self) -> None:
        while not self._ended.is_set():
            serves, now = self._serves(), self.clock.now()
            if serves:
                self.longest = max(self.longest, now - self._last)
                self._last, self.answered = now, True
                if self._gapped:
                    self._again.set()
            else:
                self._gapped = True
                self._again.clear()
            self._ended.wait(PERIOD)

    def _serves(self) -> bool:
        answer = exchange(
            {
                "host": self.host,
                "port": self.port,
                "scheme": self.traffic.scheme,
                "method": "GET",
                "path": self.traffic.get,
                "headers": {"Host": self.traffic.host_header(self.host, self.port)},
                "body": "",
                "timeout": ANSWER_SECONDS,
            }
        )
        return "error" not in answer and answer["status"] not in OF_A_PROXY


def _wait_served(stack: StackContext, outage: Outage) -> None:
    """Return when the service answers again; UnhealthyError after 30 s."""
    deadline = outage.clock.now() + SERVED_SECONDS
    gateway = outage.traffic.gateway
    while not outage.is_over:
        found = [c for c in stack.refresh() if c.service == gateway]
        failed = [c for c in found if health.verdict(c) == "failed"]
        if failed or outage.clock.now() > deadline:
            raise UnhealthyError(
                f"{outage.service} is not served: {gateway} "
                + (
                    health.cause(failed[0]) if failed else "has no replica that is well"
                ),
                hint=f"invoke logs --service {gateway} shows its checks; without "
                f"[rollout.{outage.service}] invoke up takes it away again",
                detail="\n".join(health.evidence(stack.engine, c) for c in found),
            )
        outage.clock.sleep(LOOK_SECONDS)


def _outage(
    stack: StackContext, service: str, traffic: ProbeSettings, clock: Clock
) -> Outage:
    found = Outage(service, traffic, clock)
    opening = _opening(stack.model, traffic)
    if opening is not None and stack.engine.endpoint().is_local:
        found.host, found.port = opening
    return found


def _opening(model: Model, traffic: ProbeSettings) -> tuple[str, int] | None:
    """Return where the gateway will publish the service, None where that is open."""
    everywhere: tuple[Any, ...] = ("", "0.0.0.0", "::")  # noqa: S104 - compared only
    for port in model.ports([traffic.gateway]):
        if port.target == traffic.port and port.published:
            host = "127.0.0.1" if port.host in everywhere else port.host
            return host, port.published
    return None
