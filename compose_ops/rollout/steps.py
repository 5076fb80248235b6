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


def create(site: UpdateContext, count: int, wanted: DesiredState) -> tuple[str, ...]:
    """
    Create *count* more containers as *wanted*, and start none.

    Compose takes `depends_on` out of the configuration hash of what it creates without
    dependencies, and such a container would never be as wanted: so it is told of them,
    changes none, and those that it found missing go again.
    """
    before = {c.id: c for c in site.engine.containers(project=site.project)}
    mine = sum(c.service == site.service for c in before.values())
    site.engine.up(
        [site.service],
        start=False,
        recreate="never",
        scale={site.service: mine + count},
    )
    new = [
        c for c in site.engine.containers(project=site.project) if c.id not in before
    ]
    if others := [c.id for c in new if c.service != site.service]:
        site.engine.remove(*others, force=True)
    made = [c for c in new if c.service == site.service]
    if len(made) != count:
        raise EngineError(f"{len(made)} containers were created, not {count}")
    for container in made:
        _require_wanted(container, wanted)
    return tuple(c.id for c in made)


def _require_wanted(container: Container, wanted: DesiredState) -> None:
    """Refuse what Compose made of files, or of a tag, changed since the plan."""
    found = (container.image_id, container.config_hash)
    if found != (wanted.image_id, wanted.config_hash):
        raise EngineError(
            f"{container.name} was created otherwise than planned: the compose files, "
            f".env or the tag {wanted.image} were changed meanwhile",
            hint="run the update again",
        )


def detach(site: UpdateContext, ids: Sequence[str]) -> None:
    """Take containers off the gateway's network: they get no request from it."""
    for container in map(site.engine.container, ids):
        if container and site.network and site.network in container.networks:
            site.engine.disconnect(site.network, container.id)


def attach(site: UpdateContext, ids: Sequence[str]) -> None:
    """Put containers on the gateway's network, under the service's name."""
    for reference in ids:
        container = site.container(reference)
        if site.network and site.network not in container.networks:
            site.engine.connect(site.network, reference, aliases=[site.service])


def admit(site: UpdateContext, ids: Sequence[str]) -> None:
    """Let the gateway send requests to containers, and see that it does."""
    attach(site, ids)
    if site.traffic and site.gateway:
        haproxy.wait_admitted(
            site.engine,
            site.gateway,
            site.addresses(ids),
            site.clock,
            ADMISSION_SECONDS,
        )


def retire(site: UpdateContext, ids: Sequence[str]) -> None:
    """
    Take good replicas out of service without losing a request, and stop them.

    From the first step on nothing but `unpark` brings them back. Raises UnhealthyError
    when the gateway does not let go of one: it then still serves.
    """
    addresses = _drain(site, ids)
    for reference in ids:
        set_restart(site, reference, "no")
    limit = ADMISSION_SECONDS + site.grace
    if addresses and not haproxy.wait_released(
        site.engine, site.gateway, addresses, site.clock, limit
    ):
        raise UnhealthyError(
            f"the gateway still sends requests to {addresses[0]} after {limit:.0f} s",
            hint="its page for the gateway's check must answer 503 once it drains; "
            "requests longer than stop_grace_period need a longer one",
        )
    site.engine.stop(*ids)


def evict(site: UpdateContext, ids: Sequence[str], *, trusted: bool = False) -> None:
    """
    Take containers out of service that are not wanted any more, and remove them.

    What is *trusted* may end all requests that it has; others are given little time.
    """
    there = [c.id for c in map(site.engine.container, ids) if c]
    limit = ADMISSION_SECONDS + site.grace if trusted else EVICTION_SECONDS
    try:
        addresses = _drain(site, there)
        if addresses:
            haproxy.wait_released(
                site.engine, site.gateway, addresses, site.clock, limit
            )
    except EngineError:
        pass  # a container that has ended cannot be told to drain
    detach(site, there)
    if there:
        site.engine.stop(*there)
        site.engine.remove(*there, force=True)


def unpark(site: UpdateContext, place: SlotState) -> None:
    """Start a retired or draining container anew, apart from the gateway."""
    old = site.container(place.old)
    detach(site, [old.id])
    if old.is_running:
        site.engine.stop(old.id)
    if place.name and old.name != place.name:
        site.engine.rename(old.id, place.name)
    set_restart(site, old.id, place.restart)
    site.engine.start(old.id)


def set_restart(site: UpdateContext, container: str, policy: str) -> None:
    """Change a container's restart policy, which its configuration hash leaves out."""
    site.engine.set_restart(container, policy or "no")


def restart_policy(container: Container) -> str:
    """Return a container's restart policy as `docker update` takes it."""
    host = container.raw.get("HostConfig") or {}
    policy = host.get("RestartPolicy") or {}
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    return f"{name}:{most}" if name == "on-failure" and most else str(name)


def _drain(site: UpdateContext, ids: Sequence[str]) -> list[str]:
    """Tell running containers to drain; return where the gateway finds them."""
    if site.traffic is None or not site.network:
        return []
    running = [c.id for c in map(site.engine.container, ids) if c and c.is_running]
    addresses = site.addresses(running)
    if site.traffic.drain:
        for reference in running:
            site.engine.kill(reference, site.traffic.drain)
    return addresses
