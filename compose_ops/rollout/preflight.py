"""What an update needs before its first step."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial

from compose_ops.docker.api import Engine
from compose_ops.errors import ConfigurationError, UnhealthyError
from compose_ops.project.model import Model
from compose_ops.rollout import start_first
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.policy import START_FIRST
from compose_ops.rollout.proxy import haproxy
from compose_ops.rollout.traffic_probe import TrafficProbe

BASELINE_SECONDS = 1.0

Shortage = Callable[[], str]
"""Wait for the answer: why the memory is not enough, or nothing."""


def probe_of(place: UpdateContext) -> TrafficProbe | None:
    """Start the probe through the gateway; None where none serves the service."""
    if place.traffic is None:
        return None
    container = place.container(place.gateway)
    opening = haproxy.entrance(container, place.traffic.port)
    if opening is None:
        raise UnhealthyError(
            f"{place.traffic.gateway} does not publish its port {place.traffic.port}: "
            "the update cannot be proven",
            hint=f"invoke up --service {place.traffic.gateway}",
        )
    everywhere = opening.host in {"0.0.0.0", "::", ""}  # noqa: S104 - compared only
    host = "127.0.0.1" if everywhere else opening.host
    probe = TrafficProbe(host, opening.port, place.traffic)
    probe.start()
    return probe


@contextmanager
def stopped_on_refusal(probe: TrafficProbe | None) -> Iterator[None]:
    """Stop the probe where what is done in between refuses the update."""
    try:
        yield
    except BaseException:
        if probe:
            probe.stop()
        raise


def measured(
    engine: Engine, model: Model, *, total: int, service: str, surge: int
) -> Shortage:
    """
    Begin to find out whether *surge* more replicas fit into *total* bytes of memory.

    They are as *model* says. Returns what waits for the answer: what is used is sampled
    where the limits do not settle it. Raises what the sampling raised.
    """
    found: Future[str] = Future()
    limit, reserved = (model.memory(service, k) for k in ("limits", "reservations"))
    fits = partial(start_first.is_within_limits, total=total, limit=limit, surge=surge)
    short = partial(
        start_first.memory, total=total, service=service, reserved=reserved, surge=surge
    )

    def measure() -> None:
        try:
            running = [c for c in engine.containers() if c.is_running]
            if fits(running):
                found.set_result("")
                return
            usage = engine.usage(*(c.id for c in running))
            found.set_result(short(running, usage))
        except Exception as wrong:  # noqa: BLE001 - whoever asks gets it
            found.set_exception(wrong)

    # Not an executor: nobody waits for its end where there is nothing to do.
    threading.Thread(target=measure, daemon=True).start()
    return found.result


def check(
    place: UpdateContext,
    model: Model,
    planned: Plan,
    probe: TrafficProbe | None,
    shortage: Shortage,
) -> bool:
    """
    Refuse what cannot work; the probe measures the time before meanwhile.

    Returns whether what the probe finds counts: no replica may have worked before.
    """
    place.engine.preload()
    require_possible(model, planned, shortage)
    if probe:
        until = probe.begin + BASELINE_SECONDS
        place.clock.sleep(max(until - place.clock.now(), 0))
    return probe is not None and _require_service(place, probe, planned)


def require_possible(model: Model, planned: Plan, shortage: Shortage) -> None:
    """Raise ConfigurationError where two generations cannot run side by side."""
    if planned.policy.order != START_FIRST:
        return
    reasons = list(start_first.to_start_first(model.service(planned.service)))
    if reasons := [*reasons, *filter(None, [shortage()])]:
        raise ConfigurationError(
            f"{planned.service} cannot be updated start-first: {reasons[0]}",
            hint="set update_config.order to stop-first, or remove the reason",
            detail="\n".join(f"  - {reason}" for reason in reasons[1:]),
        )


def _require_service(place: UpdateContext, probe: TrafficProbe, planned: Plan) -> bool:
    """Refuse to update behind a gateway that fails, unless no replica works anyway."""
    wrong = probe.failure()
    if wrong and any(c.is_healthy for c in place.containers()):
        raise UnhealthyError(
            f"requests to {planned.service} fail before the update: {wrong}",
            hint="invoke status and invoke logs --service gateway show more",
        )
    return not wrong
