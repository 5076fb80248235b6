"""The steps of an update, each of which can be done again without harm."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from compose_ops.docker.api import Container, Engine
from compose_ops.errors import EngineError, UnhealthyError
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import SlotState
from compose_ops.rollout.plan import DesiredState, named_on
from compose_ops.rollout.policy import drain_signal

ADMISSION_SECONDS = 15.0
# A replica that is thrown out gets this long to answer what it has already taken.
EVICTION_SECONDS = 5.0


def create(context: UpdateContext, count: int, wanted: DesiredState) -> tuple[str, ...]:
    """
    Create *count* more containers as *wanted*, and start none.

    Compose leaves `depends_on` out of the configuration hash of what it creates without
    dependencies, and such a container would never match the plan. So it is run with
    them, and those that it creates because they were missing are removed again.
    """
    before = {c.id: c for c in context.engine.containers(project=context.project)}
    there = len(context.containers())
    context.engine.up(
        [context.service],
        start=False,
        recreate="never",
        scale={context.service: there + count},
    )
    new = [
        c
        for c in context.engine.containers(project=context.project)
        if c.id not in before
    ]
    if others := [c.id for c in new if c.service != context.service]:
        context.engine.remove(*others, force=True)
    made = [c for c in new if c.service == context.service]
    if len(made) != count:
        raise EngineError(f"{len(made)} containers were created, not {count}")
    for container in made:
        _require_wanted(container, wanted)
    return tuple(c.id for c in made)


def _require_wanted(container: Container, wanted: DesiredState) -> None:
    """Refuse what was created of files, or of a tag, that changed since the plan."""
    wrong_hash = wanted.config_hash not in {"", container.config_hash}
    if wrong_hash or container.image_id != wanted.image_id:
        raise EngineError(
            f"{container.name} does not match the plan (image or configuration): the "
            f"compose files, .env or the tag {wanted.image} changed during the update",
            hint="run the update again",
        )


def detach(context: UpdateContext, ids: Sequence[str]) -> None:
    """
    Disconnect containers from the gateway's network: it sends them no request.

    Where the service's name is the gateway's, nobody else may find them by it either.
    """
    for container in map(context.engine.container, ids):
        if container and context.network and context.network in container.networks:
            context.engine.disconnect(context.network, container.id)
        if container and context.traffic and context.traffic.alias:
            withdraw_names(context.engine, container, keep=context.network)


def withdraw_names(engine: Engine, container: Container, *, keep: str) -> None:
    """
    Connect a container that does not run to its networks under no service's name.

    It can use them as before. On the network *keep* it has its names for good; a
    container that runs keeps all of them, since its connections would end.
    """
    for network in named_on(container) if not container.is_running else ():
        if network != keep:
            engine.disconnect(network, container.id)
            engine.connect(network, container.id)


def attach(context: UpdateContext, ids: Sequence[str]) -> None:
    """Connect containers to the gateway's network, under the name that it knows."""
    for reference in ids:
        container = context.container(reference)
        if context.network and context.network not in container.networks:
            alias = context.traffic.alias if context.traffic else ""
            context.engine.connect(
                context.network, reference, aliases=[alias or context.service]
            )


def admit(context: UpdateContext, ids: Sequence[str]) -> None:
    """Connect containers and wait until the gateway sends requests to them."""
    attach(context, ids)
    if proxy := context.proxy:
        proxy.wait_admitted(context.addresses(ids), ADMISSION_SECONDS)


def retire(context: UpdateContext, ids: Sequence[str]) -> int:
    """
    Take good replicas out of service without losing a request, and stop them.

    From the first step on nothing but `restart_apart` brings them back. Returns how
    many connections lasted longer than `drain_timeout` and were cut. Raises
    UnhealthyError when the gateway still sends requests to one.
    """
    drained = _drain(context, ids)
    for reference in ids:
        set_restart(context, reference, "no")
    cut = _release(context, drained)
    context.engine.stop(*ids)
    _forget(context, drained)
    return cut


def evict(context: UpdateContext, ids: Sequence[str], *, trusted: bool = False) -> None:
    """
    Take containers out of service that are not wanted any more, and remove them.

    What is *trusted* may end all requests that it has; others are given little time.
    """
    there = [c.id for c in map(context.engine.container, ids) if c]
    drained = Drained()
    # Neither a container that has ended nor a gateway that has can be asked.
    with suppress(EngineError, UnhealthyError):
        drained = _drain(context, there)
        if context.proxy and drained.addresses:
            limit = _limit(context, drained) if trusted else EVICTION_SECONDS
            context.proxy.wait_released(drained.addresses, limit)
    detach(context, there)
    if there:
        context.engine.stop(*there)
        context.engine.remove(*there, force=True)
    with suppress(EngineError, UnhealthyError):
        _forget(context, drained)


def end_drain(context: UpdateContext) -> None:
    """Let the gateway use all replicas that run, where it may change that."""
    ids = [c.id for c in context.containers() if c.is_running]
    if context.proxy and context.proxy.can_drain():
        context.proxy.end_drain(context.addresses(ids))


def restart_apart(context: UpdateContext, slot: SlotState) -> None:
    """Start a retired or draining container again, apart from the gateway."""
    old = context.container(slot.old)
    detach(context, [old.id])
    if old.is_running:
        context.engine.stop(old.id)
    if slot.name and old.name != slot.name:
        context.engine.rename(old.id, slot.name)
    set_restart(context, old.id, slot.restart)
    context.engine.start(old.id)


def set_restart(context: UpdateContext, container: str, policy: str) -> None:
    """Change a container's restart policy, which its configuration hash leaves out."""
    context.engine.set_restart(container, policy or "no")


def restart_policy(container: Container) -> str:
    """Return a container's restart policy as `docker update` takes it."""
    host = container.raw.get("HostConfig") or {}
    policy = host.get("RestartPolicy") or {}
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    return f"{name}:{most}" if name == "on-failure" and most else str(name)


@dataclass(frozen=True, slots=True)
class Drained:
    """What drains: its addresses, and its servers at the gateway if that drains it."""

    addresses: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def _drain(context: UpdateContext, ids: Sequence[str]) -> Drained:
    """Drain running containers at the gateway, and by the signal that they take."""
    if context.traffic is None or not context.network:
        return Drained()
    found = map(context.engine.container, ids)
    running = [c for c in found if c and c.is_running]
    addresses = tuple(context.addresses([c.id for c in running]))
    names: tuple[str, ...] = ()
    if addresses and context.proxy and context.proxy.can_drain():
        names = context.proxy.drain(addresses)
    for container in running:
        if signal := drain_signal(container, context.traffic):
            context.engine.kill(container.id, signal)
    return Drained(addresses, names)


def _limit(context: UpdateContext, drained: Drained) -> float:
    """Return the seconds to drain in; a health page is seen to say 503 only later."""
    return context.drain_timeout + (0 if drained.names else ADMISSION_SECONDS)


def _release(context: UpdateContext, drained: Drained) -> int:
    """Wait until nothing is under way any more; return how many had to be cut."""
    if context.proxy is None or not drained.addresses:
        return 0
    limit = _limit(context, drained)
    if context.proxy.wait_released(drained.addresses, limit):
        return 0
    if used := context.proxy.still_used(drained.addresses):
        raise UnhealthyError(
            f"the gateway still sends new requests to {used} after {limit:.0f} s",
            hint="its runtime API must be of level admin, or the health page must "
            "answer 503 after the drain signal",
        )
    return context.proxy.cut(drained.addresses)


def _forget(context: UpdateContext, drained: Drained) -> None:
    """Let the gateway use the servers of containers that were stopped for others."""
    if context.proxy and drained.names:
        context.proxy.ready(drained.names)
