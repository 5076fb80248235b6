"""What a new container must get through: healthy, stable, and answering."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from compose_ops.docker.api import Container, EventStream
from compose_ops.errors import ComposeOpsError, UnhealthyError
from compose_ops.rollout import replica_probe
from compose_ops.rollout.context import UpdateContext
from compose_ops.runtime import health

PROBES = 200
SLOWEST_RATE = 10.0
LOOK_PERIOD = 1.0
LOG_LINES = 15
EVENTS = ("event=health_status", "event=die", "event=oom", "event=restart")

Outside = Callable[[], str]
"""Return what is wrong beyond the new containers themselves, or nothing."""


def wait_healthy(
    site: UpdateContext, ids: Sequence[str], events: EventStream, *, who: str = "new"
) -> None:
    """
    Return when all of *ids* are healthy; *who* says which they are, for the error.

    Raises UnhealthyError, with the container's evidence, as soon as one has ended, was
    restarted, ran out of memory or is unhealthy, and when the time is over.
    """
    begin = site.clock.now()
    while True:
        found = [site.container(i) for i in ids]
        for container in found:
            require_alive(site, container, who)
        passed = site.clock.now() - begin
        if all(c.is_healthy for c in found):
            return
        if passed > site.health_limit:
            late = next(c for c in found if not c.is_healthy)
            what = f"is not healthy after {site.health_limit:.0f} s"
            raise failed(site, late, what, who)
        events.next(min(LOOK_PERIOD, max(site.health_limit - passed, 0.01)))


def require_alive(site: UpdateContext, container: Container, who: str = "new") -> None:
    """Raise UnhealthyError for a container that has failed already."""
    if container.restart_count or container.state == "restarting":
        what = f"was restarted (exit code {container.exit_code})"
        raise failed(site, container, what, who)
    if health.verdict(container) == "failed":
        raise failed(site, container, health.cause(container), who)
    if container.is_running and container.probes and container.health == "healthy":
        last = container.probes[-1]
        if last.code != 0:
            raise failed(site, container, "failed a health check", who)


def failed(
    site: UpdateContext, container: Container, what: str, who: str = "new"
) -> UnhealthyError:
    """Return the error for a container, with its health output and last log lines."""
    return UnhealthyError(
        f"the {who} {container.name} {what}",
        hint="mend the new version and update again; the old one serves",
        detail=health.evidence(site.engine, container, lines=LOG_LINES),
    )


def with_evidence(
    site: UpdateContext, ids: Sequence[str], error: UnhealthyError
) -> None:
    """Add what *ids* say of themselves to an error that came from elsewhere."""
    if error.detail:
        return
    with suppress(ComposeOpsError):
        found = [c for c in map(site.engine.container, ids) if c]
        parts = [health.evidence(site.engine, c, lines=LOG_LINES) for c in found]
        error.detail = "\n".join(filter(None, parts))


def watch(
    site: UpdateContext,
    ids: Sequence[str],
    events: EventStream,
    *,
    window: float,
    probes: int,
    outside: Outside = lambda: "",
) -> int:
    """
    Watch *ids* for *window* seconds and until each has answered *probes* requests.

    Returns how many requests were answered. Raises UnhealthyError at the first that was
    not, the first sign of an end, and when *outside* says that something is wrong.
    """
    askers = _askers(site, ids)
    rate = max(probes / window if window else 0.0, SLOWEST_RATE)
    if not window:
        rate = probes or SLOWEST_RATE
    begin = looked = site.clock.now()
    asked = 0
    while askers or site.clock.now() - begin < window:
        for container, ask in askers:
            if wrong := ask():
                found = site.container(container.id)
                require_alive(site, found)
                raise failed(site, found, f"is not right: {wrong}")
        asked += 1
        if wrong := outside():
            raise UnhealthyError(wrong, hint="mend the new version and update again")
        now = site.clock.now()
        event = events.next(max(min(begin + asked / rate - now, LOOK_PERIOD), 0))
        if event or now - looked >= LOOK_PERIOD:
            looked = now
            for reference in ids:
                require_alive(site, site.container(reference))
        if asked >= probes and site.clock.now() - begin >= window:
            break
    return asked * len(askers)


def _askers(
    site: UpdateContext, ids: Sequence[str]
) -> list[tuple[Container, replica_probe.Ask]]:
    if site.traffic is None:
        return []
    found = [site.container(i) for i in ids]
    return [(c, replica_probe.asker(site.engine, c, site.traffic)) for c in found]
