"""What an update needs before its first step."""

from jimbot_stack.engine import Container, Engine, Usage
from jimbot_stack.errors import (
    ConfigurationError,
    UnhealthyError,
)
from jimbot_stack.model import Model

from . import obstacles
from .plan import Plan
from .policy import START_FIRST
from .probe import TrafficProbe
from .site import Site

BASELINE_SECONDS = 1.5


def probe_of(place: Site) -> TrafficProbe | None:
    """Start the probe through the gateway; None where none serves the service."""
    if place.traffic is None:
        return None
    opening = next(iter(place.container(place.gateway).published), None)
    if opening is None:
        raise UnhealthyError(
            f"{place.traffic.gateway} publishes no port: the update cannot be proven",
            hint=f"invoke up --service {place.traffic.gateway}",
        )
    everywhere = opening.host in {"0.0.0.0", "::", ""}  # noqa: S104 - compared only
    host = "127.0.0.1" if everywhere else opening.host
    probe = TrafficProbe(host, opening.port, place.traffic)
    probe.start()
    return probe


def check(
    place: Site,
    engine: Engine,
    model: Model,
    planned: Plan,
    probe: TrafficProbe | None,
) -> None:
    """Refuse what cannot work; the probe measures the time before meanwhile."""
    until = place.clock.now() + BASELINE_SECONDS
    if planned.policy.order == START_FIRST:
        reasons = list(obstacles.to_start_first(model.service(planned.service)))
        running, usage = _use(engine)
        short = obstacles.memory(
            total=engine.info().memory,
            running=running,
            usage=usage,
            service=planned.service,
            surge=planned.policy.parallelism,
        )
        if reasons := [*reasons, *([short] if short else [])]:
            raise ConfigurationError(
                f"{planned.service} cannot be updated start-first: {reasons[0]}",
                hint="set update_config.order to stop-first, or remove the reason",
                detail="\n".join(f"  - {reason}" for reason in reasons[1:]),
            )
    if probe:
        place.clock.sleep(max(until - place.clock.now(), 0))
        _require_service(place, probe, planned)


def _use(engine: Engine) -> tuple[list[Container], tuple[Usage, ...]]:
    """Return what runs and the memory that it uses."""
    running = [c for c in engine.containers() if c.is_running]
    return running, engine.usage(*(c.id for c in running))


def _require_service(place: Site, probe: TrafficProbe, planned: Plan) -> None:
    """Refuse to update behind a gateway that fails, unless no replica works anyway."""
    wrong = probe.failure()
    if wrong and any(c.is_healthy for c in place.containers()):
        raise UnhealthyError(
            f"requests to {planned.service} fail before the update: {wrong}",
            hint="invoke status and invoke logs --service gateway show more",
        )
