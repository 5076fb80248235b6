"""What a new container must get through: healthy, stable, and answering."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from compose_ops.docker.api import Container, EventStream
from compose_ops.errors import ComposeOpsError, UnhealthyError
from compose_ops.rollout import health_command, replica_probe
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.health_command import HealthChecks
from compose_ops.runtime import health

PROBES = 200
SLOWEST_RATE = 10.0
PERIOD = 1.0
ANSWER_PERIOD = 0.2
LOG_LINES = 15
EVENTS = ("event=health_status", "event=die", "event=oom", "event=restart")
REPAIR = "repair the new version and update again"


def wait_healthy(
    context: UpdateContext,
    ids: Sequence[str],
    events: EventStream,
    *,
    version: str = "new",
) -> None:
    """
    Return when all of *ids* are healthy; *version*, old or new, is for the error.

    A check that passes when the update runs it is as good as one of the engine, which
    may run the first one only after an interval. A new container without any is
    healthy when it has answered a request. Raises UnhealthyError, with the container's
    evidence, as soon as one has ended, was restarted, ran out of memory or is
    unhealthy, and when the time is over.
    """
    begin = context.clock.now()
    checks = HealthChecks(context.engine)
    answers = _Answers(context, are_due=version == "new")
    healthy: set[str] = set()
    while True:
        found = [context.container(i) for i in ids]
        for container in found:
            require_alive(context, container, version)
            is_healthy = container.is_healthy or checks.result(container) == ""
            if is_healthy and not answers.missing(container):
                healthy.add(container.id)
        passed = context.clock.now() - begin
        if len(healthy) == len(found):
            return
        if passed > context.health_limit:
            late = next(c for c in found if c.id not in healthy)
            wrong = answers.missing(late)
            state = f"does not answer ({wrong})" if wrong else "is not healthy"
            what = f"{state} after {context.health_limit:.0f} s"
            raise failed(context, late, what, version)
        period = ANSWER_PERIOD if answers.are_missing else PERIOD
        events.next(min(period, max(context.health_limit - passed, 0.01)))


@dataclass(slots=True)
class _Answers:
    """Requests to containers that have no health check: whether they answer yet."""

    context: UpdateContext
    are_due: bool
    are_missing: bool = False
    _asks: dict[str, replica_probe.Ask] = field(default_factory=dict)

    def missing(self, container: Container) -> str:
        """Return what is wrong with the answer, "" for nothing or where none is due."""
        is_checked = container.health or health_command.of(container)
        if not (self.are_due and container.is_running) or is_checked:
            return ""
        if container.id not in self._asks:
            ask = replica_probe.asker(self.context, container)
            self._asks[container.id] = ask
        wrong = self._asks[container.id]()
        self.are_missing = self.are_missing or bool(wrong)
        return wrong


def require_alive(
    context: UpdateContext, container: Container, version: str = "new"
) -> None:
    """Raise UnhealthyError for a container that has failed already."""
    if container.restart_count or container.state == "restarting":
        what = f"was restarted (exit code {container.exit_code})"
        raise failed(context, container, what, version)
    if health.verdict(container) == "failed":
        raise failed(context, container, health.cause(container), version)
    if container.is_running and container.probes and container.health == "healthy":
        last = container.probes[-1]
        if last.code != 0:
            raise failed(context, container, "failed a health check", version)


def failed(
    context: UpdateContext, container: Container, what: str, version: str = "new"
) -> UnhealthyError:
    """Return the error for a container, with its health output and last log lines."""
    return UnhealthyError(
        f"the {version} container {container.name} {what}",
        hint=REPAIR,
        detail=health.evidence(context.engine, container, lines=LOG_LINES),
    )


def with_evidence(
    context: UpdateContext, ids: Sequence[str], error: UnhealthyError
) -> None:
    """Add the health output and log lines of *ids* to an error that has no detail."""
    if error.detail:
        return
    with suppress(ComposeOpsError):
        found = [c for c in map(context.engine.container, ids) if c]
        parts = [health.evidence(context.engine, c, lines=LOG_LINES) for c in found]
        error.detail = "\n".join(filter(None, parts))


@dataclass(slots=True)
class Watch:
    """
    A watch over new containers: requests, health checks, and the engine's events.

    Each turn sends one request to each container that serves requests. Once a second
    the health command is run in each, and its state looked at; an event makes that
    sooner. The first failure of any of these, and what `outside` returns, raises
    UnhealthyError.
    """

    context: UpdateContext
    ids: Sequence[str]
    events: EventStream
    outside: Callable[[], str] = lambda: ""
    answered: int = 0
    _probes: list[tuple[str, replica_probe.Ask]] | None = None
    _checks: HealthChecks | None = None
    _looked: float = float("-inf")

    def probe_n(self, count: int, *, within: float) -> None:
        """
        Send *count* requests to each container, spread over *within* seconds.

        Not slower than ten a second; as fast as they are answered where the window is
        0. Nothing is sent to a service that answers no requests.
        """
        if not self._askers():
            return
        rate = max(count / within, SLOWEST_RATE) if within else float(count)
        begin = self.context.clock.now()
        for number in range(1, count + 1):
            self._turn(begin + number / rate)

    def observe_for(self, seconds: float) -> None:
        """Watch for *seconds*, at least once, with ten requests a second to each."""
        begin = self.context.clock.now()
        turn = 0
        while turn == 0 or self.context.clock.now() - begin < seconds:
            turn += 1
            self._turn(min(begin + turn / SLOWEST_RATE, begin + seconds))

    def _turn(self, until: float) -> None:
        """Ask and look once; return at *until* or at an event."""
        for reference, ask in self._askers():
            if wrong := ask():
                container = self.context.container(reference)
                require_alive(self.context, container)
                raise failed(self.context, container, f"failed a request: {wrong}")
            self.answered += 1
        if wrong := self.outside():
            raise UnhealthyError(wrong, hint=REPAIR)
        now = self.context.clock.now()
        event = self.events.next(max(min(until - now, PERIOD), 0))
        if event or self.context.clock.now() - self._looked >= PERIOD:
            self._look()

    def _look(self) -> None:
        self._looked = self.context.clock.now()
        for reference in self.ids:
            container = self.context.container(reference)
            require_alive(self.context, container)
            self._checks = self._checks or HealthChecks(self.context.engine)
            if wrong := self._checks.result(container):
                require_alive(self.context, self.context.container(reference))
                what = f"failed its health check: {wrong}"
                raise failed(self.context, container, what)

    def _askers(self) -> list[tuple[str, replica_probe.Ask]]:
        if self._probes is None:
            self._probes = []
            if self.context.traffic is not None:
                for container in map(self.context.container, self.ids):
                    ask = replica_probe.asker(self.context, container)
                    self._probes.append((container.id, ask))
        return self._probes
