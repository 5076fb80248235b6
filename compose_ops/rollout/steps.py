"""The steps of an update, each of which can be done again without harm."""

from collections.abc import Sequence

from compose_ops.docker.api import Container
from compose_ops.errors import EngineError, UnhealthyError
from compose_ops.rollout.context import UpdateContext
from compose_ops.rollout.journal import SlotState
from compose_ops.rollout.plan import DesiredState
from compose_ops.rollout.proxy import haproxy

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
    mine = sum(c.service == context.service for c in before.values())
    context.engine.up(
        [context.service],
        start=False,
        recreate="never",
        scale={context.service: mine + count},
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
    found = (container.image_id, container.config_hash)
    if found != (wanted.image_id, wanted.config_hash):
        raise EngineError(
            f"{container.name} does not match the plan (image or configuration): the "
            f"compose files, .env or the tag {wanted.image} changed during the update",
            hint="run the update again",
        )


def detach(context: UpdateContext, ids: Sequence[str]) -> None:
    """Disconnect containers from the gateway's network: it sends them no request."""
    for container in map(context.engine.container, ids):
        if container and context.network and context.network in container.networks:
            context.engine.disconnect(context.network, container.id)


def attach(context: UpdateContext, ids: Sequence[str]) -> None:
    """Connect containers to the gateway's network, under the service's name."""
    for reference in ids:
        container = context.container(reference)
        if context.network and context.network not in container.networks:
            context.engine.connect(
                context.network, reference, aliases=[context.service]
            )


def admit(context: UpdateContext, ids: Sequence[str]) -> None:
    """Connect containers and wait until the gateway sends requests to them."""
    attach(context, ids)
    if context.traffic and context.gateway:
        haproxy.wait_admitted(
            context.engine,
            context.gateway,
            context.addresses(ids),
            context.clock,
            ADMISSION_SECONDS,
        )


def retire(context: UpdateContext, ids: Sequence[str]) -> None:
    """
    Take good replicas out of service without losing a request, and stop them.

    From the first step on nothing but `restart_apart` brings them back. Raises
    UnhealthyError when the gateway still sends requests to one.
    """
    addresses = _drain(context, ids)
    for reference in ids:
        set_restart(context, reference, "no")
    limit = ADMISSION_SECONDS + context.grace
    if addresses and not haproxy.wait_released(
        context.engine, context.gateway, addresses, context.clock, limit
    ):
        raise UnhealthyError(
            f"the gateway still sends requests to {addresses[0]} after {limit:.0f} s",
            hint="its page for the gateway's check must answer 503 once it drains; "
            "requests longer than stop_grace_period need a longer one",
        )
    context.engine.stop(*ids)


def evict(context: UpdateContext, ids: Sequence[str], *, trusted: bool = False) -> None:
    """
    Take containers out of service that are not wanted any more, and remove them.

    What is *trusted* may end all requests that it has; others are given little time.
    """
    there = [c.id for c in map(context.engine.container, ids) if c]
    limit = ADMISSION_SECONDS + context.grace if trusted else EVICTION_SECONDS
    try:
        addresses = _drain(context, there)
        if addresses:
            haproxy.wait_released(
                context.engine, context.gateway, addresses, context.clock, limit
            )
    except EngineError:
        pass  # a container that has ended cannot be told to drain
    detach(context, there)
    if there:
        context.engine.stop(*there)
        context.engine.remove(*there, force=True)


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


def _drain(context: UpdateContext, ids: Sequence[str]) -> list[str]:
    """Tell running containers to drain; return where the gateway finds them."""
    if context.traffic is None or not context.network:
        return []
    running = [c.id for c in map(context.engine.container, ids) if c and c.is_running]
    addresses = context.addresses(running)
    if context.traffic.drain:
        for reference in running:
            context.engine.kill(reference, context.traffic.drain)
    return addresses
