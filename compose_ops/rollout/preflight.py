"""What an update needs before its first step."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from compose_ops.docker.api import Container, Engine, RunSpec
from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.rollout import callers, policy, start_first
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.helpers import PROJECT_LABEL
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.policy import START_FIRST, drain_signal
from compose_ops.rollout.proxy.haproxy import API_LINE, GatewayFails, GatewayUnfit
from compose_ops.rollout.traffic_probe import SOURCE, ProbeHost, TrafficProbe

BASELINE_SECONDS = 1.0

Shortage = Callable[[], str]
"""Wait for the answer: why the memory is not enough, or nothing."""


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """
    A plan that may be executed.

    What the `probe` finds counts where it is `judged`; `overlaps` says that there is
    memory for two batches beside what runs; `name` is the container name that the model
    fixes, or ""; `point` the restore point of a store, or "".
    """

    context: UpdateContext
    plan: Plan
    probe: TrafficProbe | None
    judged: bool
    overlaps: bool
    name: str
    point: str = ""


def probe_of(context: UpdateContext) -> TrafficProbe | None:
    """Start the probe through the gateway; None where none serves the service."""
    if context.traffic is None:
        return None
    container = context.container(context.gateway)
    port = context.traffic.gateway_port or context.traffic.port
    opening = next((p for p in container.published if p.target == port), None)
    if opening is None and context.traffic.alias:
        # Only services of the project use it, from inside.
        inside = _probe_host(context, network=f"container:{container.id}")
        probe = TrafficProbe("127.0.0.1", port, context.traffic, elsewhere=inside)
        probe.start()
        return probe
    if opening is None:
        raise GatewayFails(
            f"{context.traffic.gateway} does not publish its port {port}: the update "
            "cannot be proven",
            hint=f"invoke up --service {context.traffic.gateway}",
        )
    everywhere = opening.host in {"0.0.0.0", "::", ""}  # noqa: S104 - compared only
    host = "127.0.0.1" if everywhere else opening.host
    where = None if context.engine.endpoint().is_local else _probe_host(context)
    probe = TrafficProbe(host, opening.port, context.traffic, elsewhere=where)
    probe.start()
    return probe


def _probe_host(context: UpdateContext, *, network: str = "host") -> ProbeHost:
    """Return a helper in *network*, by default that of the host, with the ports."""
    spec = RunSpec(
        image=context.helpers.image(),
        entrypoint="python3",
        command=("-c", SOURCE.read_text(encoding="utf-8")),
        name=f"{context.project}-probe-{os.getpid()}",
        network=network,
        labels={PROJECT_LABEL: context.project},
    )
    return ProbeHost(context.engine, spec)


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
    context: UpdateContext,
    model: Model,
    planned: Plan,
    probe: TrafficProbe | None,
    shortage: Shortage,
) -> bool:
    """
    Refuse what cannot work; the probe measures the time before meanwhile.

    Returns whether what the probe finds counts: no replica may have worked before.
    """
    context.engine.preload()
    require_named_volumes(context.containers(), planned.service)
    require_possible(model, planned, shortage)
    require_gateway(context, planned)
    if probe:
        until = probe.begin + BASELINE_SECONDS
        context.clock.sleep(max(until - context.clock.now(), 0))
    return probe is not None and _require_service(context, probe, planned)


def require_named_volumes(containers: Iterable[Container], service: str) -> None:
    """
    Raise ConfigurationError for a replica with an anonymous volume.

    A new container gets another one, empty; Compose carries it over only where it
    recreates a container in place.
    """
    for container in (c for c in containers if c.service == service):
        for mount in container.mounts:
            if mount.is_anonymous:
                raise ConfigurationError(
                    f"{container.name} has an anonymous volume at {mount.target}, "
                    "which a new container does not get",
                    hint="give the volume a name in the compose files, or a tmpfs "
                    "where its data may be lost",
                )


def require_possible(model: Model, planned: Plan, shortage: Shortage) -> None:
    """Raise ConfigurationError where two generations cannot run side by side."""
    if traffic := policy.traffic(model.service(planned.service)):
        callers.require_none(model, planned.service, traffic)
    if planned.policy.order != START_FIRST:
        return
    reasons = list(start_first.to_start_first(model.service(planned.service)))
    if reasons := [*reasons, *filter(None, [shortage()])]:
        raise ConfigurationError(
            f"{planned.service} cannot be updated start-first: {reasons[0]}",
            hint="set update_config.order to stop-first, or remove the reason",
            detail="\n".join(f"  - {reason}" for reason in reasons[1:]),
        )


def require_gateway(context: UpdateContext, planned: Plan) -> None:
    """
    Raise GatewayUnfit for what the gateway lacks, with the lines to add.

    Where its runtime API may not drain, the replicas must take a signal for that.
    """
    proxy, traffic = context.proxy, context.traffic
    if proxy is None or traffic is None:
        return
    there = [c for c in context.containers() if c.is_running]
    if not proxy.can_drain() and not all(drain_signal(c, traffic) for c in there):
        raise GatewayUnfit(
            f"the runtime API of {traffic.gateway} may not drain replicas",
            hint="its global section needs: "
            + API_LINE.format(port=traffic.runtime_port),
        )
    serving = [c for c in there if c.is_healthy]
    places = planned.wanted.replicas + planned.policy.parallelism
    proxy.require(context.addresses([c.id for c in serving]), places)


def _require_service(
    context: UpdateContext, probe: TrafficProbe, planned: Plan
) -> bool:
    """Refuse to update behind a gateway that fails, unless no replica works anyway."""
    wrong = probe.failure()
    gateway = context.traffic.gateway if context.traffic else ""
    if wrong and any(c.is_healthy for c in context.containers()):
        key = f"rollout.{planned.service}"
        raise GatewayFails(
            f"requests to {planned.service} fail before the update: {wrong}",
            hint=f"invoke status and invoke logs --service {gateway} show more; where "
            f"that answer is a good one, {key}.status says so, or {key}.get names "
            "another page",
        )
    return not wrong
