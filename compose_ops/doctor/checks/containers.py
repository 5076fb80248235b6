"""The project's containers: healthy, complete, and created from these files."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from compose_ops.docker.api import Container, Network, Volume
from compose_ops.doctor.registry import check
from compose_ops.errors import ConfigurationError
from compose_ops.project.model import Model
from compose_ops.redaction import clean
from compose_ops.runtime import contents, health
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.current import is_connected
from compose_ops.runtime.reconcile import (
    VOLUME_LABEL,
    check_volumes,
    moved_volumes,
    plan,
)
from compose_ops.verdicts import Verdict, command, fail, listed, ok, warn

NOTHING = "no container of the project is running"
LETTERS = 160


def symptom(container: Container) -> str:
    """Return the last output of a container's health check, in one line."""
    output = container.probes[-1].output if container.probes else ""
    line = " ".join(clean(output).split())
    return f": {line[:LETTERS]}" if line else ""


@check(
    "services-healthy",
    "Running containers are healthy.",
    why="The cause is in the output of the health check.",
)
def services_healthy(ours: tuple[Container, ...]) -> Iterator[Verdict]:
    unhealthy = [c for c in ours if c.is_running and c.health == "unhealthy"]
    for container in unhealthy:
        yield fail(
            f"{container.service} is unhealthy{symptom(container)}",
            f"invoke restart --service {container.service}",
            about=f"{container.service} unhealthy",
        )
    slow = [c.service for c in ours if c.is_running and c.health == "starting"]
    if slow:
        yield ok(f"{listed(slow)} is starting")
    if not unhealthy:
        yield ok(f"{sum(c.is_healthy for c in ours)} containers are healthy")


@check(
    "services-stay",
    "No container is in a restart loop.",
    why="A restart policy hides a program that keeps failing.",
)
def services_stay(ours: tuple[Container, ...]) -> Iterator[Verdict]:
    looping = [
        c
        for c in ours
        if c.state == "restarting"
        or (
            c.restart_count >= health.RESTARTS_THAT_ARE_A_LOOP and c.health != "healthy"
        )
    ]
    for container in looping:
        why = "it was killed for its memory limit" if container.oom_killed else ""
        why = why or f"exit code {container.exit_code}"
        yield fail(
            f"{container.service} restarted {container.restart_count} times ({why})",
            f"invoke logs --service {container.service} --tail 50",
            about=f"{container.service} loops",
        )
    if not looping:
        yield ok("no container is in a restart loop")


@check(
    "services-run",
    "While the stack runs, every service runs.",
    why="A stopped service stays down until it is noticed: after a reboot the engine "
    "does not start what a task had stopped.",
)
def services_run(ours: tuple[Container, ...], model: Model) -> Iterator[Verdict]:
    down = [
        c
        for c in ours
        if c.state in {"exited", "dead", "created", "paused"}
        and c.service in model.services
        and health.verdict(c, model.jobs) != "healthy"
    ]
    running = any(c.is_running or c.state == "paused" for c in ours)
    for container in down if running else ():
        repair = f"invoke up --service {container.service}"
        if container.state == "paused":
            repair = command("docker", "unpause", container.name)
        oom = ", killed for its memory limit" if container.oom_killed else ""
        yield fail(
            f"{container.service} is {container.state} (exit code "
            f"{container.exit_code}{oom})",
            repair,
            about=f"{container.service} {container.state}",
        )
    missing = missing_replicas(ours, model) if running else {}
    for name, number in missing.items():
        wanted = model.replicas(name)
        yield warn(
            f"{name} has {wanted - number} of {wanted} containers while others run"
            if wanted > number
            else f"{name} has no container while others run",
            f"invoke up --service {name}",
            about=f"{name} absent",
        )
    if not running:
        yield ok(NOTHING)
    elif not down and not missing:
        yield ok(f"all {len(model.services)} services run")


def missing_replicas(ours: Iterable[Container], model: Model) -> dict[str, int]:
    """Return how many containers each service lacks; a finished job lacks none."""
    counted = Counter(container.service for container in ours)
    return {
        name: model.replicas(name) - counted[name]
        for name in model.services
        if name not in model.jobs and counted[name] < model.replicas(name)
    }


@check(
    "container-networks",
    "Running containers are connected to the networks of their service.",
    why="A container that lost its network stays healthy by its own check, and cannot "
    "be reached.",
)
def container_networks(
    ours: tuple[Container, ...], model: Model, hashes: Mapping[str, str]
) -> Iterator[Verdict]:
    lost = [
        (container, key)
        for container in ours
        if container.is_running
        and container.config_hash
        == hashes.get(container.service, container.config_hash)
        for key in model.service(container.service).get("networks") or {}
        if not is_connected(container, model.network_name(key))
    ]
    for container, key in lost:
        network = model.network_name(key)
        yield fail(
            f"{container.name} is not connected to the network {network}",
            connect(model, container, key),
            about=f"{container.name} {network}",
        )
    if not lost:
        yield ok("running containers are connected to their networks")


def connect(model: Model, container: Container, key: str) -> str:
    """Return the command that reconnects a container as Compose had connected it."""
    stated = (model.service(container.service).get("networks") or {}).get(key) or {}
    aliases = [container.service, container.name, *(stated.get("aliases") or ())]
    flags = [word for alias in aliases for word in ("--alias", alias)]
    if address := stated.get("ipv4_address"):
        flags += ["--ip", str(address)]
    network = model.network_name(key)
    joined = command("docker", "network", "connect", *flags, network, container.name)
    if network not in container.networks:
        return joined
    apart = command("docker", "network", "disconnect", "--force", network)
    return f"{apart} {command(container.name)} && {joined}"


@check(
    "containers-known",
    "Every container of the project belongs to a service of the model.",
    why="A container of a removed service keeps running and keeps its ports and "
    "networks.",
)
def containers_known(
    ours: tuple[Container, ...], model: Model, profiled: frozenset[str]
) -> Iterator[Verdict]:
    known = {*model.services, *profiled}
    orphans = [c for c in ours if c.service not in known]
    for container in orphans:
        yield warn(
            f"{container.name} is an orphan: no compose file of this mode has the "
            f"service {container.service}",
            command("docker", "rm", "--force", container.name),
            about=container.name,
        )
    if not orphans:
        yield ok("every container belongs to a service")


@check(
    "containers-current",
    "Containers were created from the current files.",
    why="A change takes effect only when the container is recreated.",
)
def containers_current(
    *,
    stack: StackContext,
    ours: tuple[Container, ...],
    hashes: Mapping[str, str],
    judged_contents: Mapping[str, contents.Judgement],
) -> Iterator[Verdict]:
    old = list(
        dict.fromkeys(
            c.service
            for c in ours
            if c.service in hashes and c.config_hash != hashes[c.service]
        )
    )
    if old and stack.started_as not in {None, stack.mode}:
        yield ok(
            f"the running stack was started as {stack.started_as}, not as {stack.mode}"
        )
        return
    for service in old:
        yield warn(
            f"{service} was created from older files",
            f"invoke up --service {service}",
            about=service,
        )
    replaced = {
        (c.service, cause)
        for c in ours
        if c.is_running and c.service not in old and c.id in judged_contents
        for cause in judged_contents[c.id].causes
    }
    for service, cause in sorted(replaced):
        yield warn(
            f"{service} runs on older contents: {cause}",
            f"invoke up --service {service}",
            about=f"{service} {cause}",
        )
    unknown = {
        c.service
        for c in ours
        if c.id in judged_contents and judged_contents[c.id].is_unknown
    }
    if unknown:
        yield ok(
            "it is unknown which contents of secrets, configs and mounted files "
            f"{listed(sorted(unknown))} started with"
        )
    if not old and not replaced:
        yield ok("containers match the files")


@check(
    "external-present",
    "External networks and volumes of the services are there.",
    why="Compose notices only after it has begun, and it has no external secrets or "
    "configs at all.",
)
def external_present(
    model: Model,
    wanted: tuple[str, ...],
    networks: tuple[Network, ...],
    external_volumes: frozenset[str],
) -> Iterator[Verdict]:
    services = [model.service(name) for name in wanted]
    used = {
        "networks": {key for one in services for key in one.get("networks") or ()},
        "volumes": {m.get("source") for n in wanted for m in model.mounts(n)},
        "secrets": {use["source"] for s in services for use in s.get("secrets") or ()},
        "configs": {use["source"] for s in services for use in s.get("configs") or ()},
    }
    there = {
        "networks": {network.name for network in networks},
        "volumes": external_volumes,
    }
    absent = 0
    for kind, keys in used.items():
        for key in model.external(kind):
            name = str(model.raw[kind][key].get("name") or key)
            if key not in keys or name in there.get(kind, ()):
                continue
            absent += 1
            what = kind.removesuffix("s")
            if kind in there:
                repair = command("docker", what, "create", name)
                detail = f"the external {what} {name} is not there"
            else:
                repair = "invoke config"
                detail = f"the {what} {key} is external, which Compose does not have"
            yield fail(detail, repair, about=f"{what} {name}")
    if not absent:
        yield ok("nothing external is missing")


@check(
    "volume-definitions",
    "Volumes match their definition in the files.",
    why="Compose silently keeps a volume whose definition changed, and the data is "
    "not where this mode expects it.",
)
def volume_definitions(
    stack: StackContext, model: Model, volumes: tuple[Volume, ...]
) -> Iterator[Verdict]:
    moved = moved_volumes(model, volumes)
    try:
        check_volumes(model, volumes)
    except ConfigurationError as differs:
        names = " ".join(volume.name for volume in moved)
        yield fail(differs.message, move_data(stack, model, moved), about=names)
    else:
        yield ok("volumes match the files")


def move_data(stack: StackContext, model: Model, moved: Sequence[Volume]) -> str:
    """Return the command that moves the data of volumes into this mode's."""
    keys = {volume.labels.get(VOLUME_LABEL) for volume in moved}
    services = [
        name
        for name, service in model.services.items()
        if keys & {mount.get("source") for mount in service.get("volumes") or ()}
    ]
    flags = [word for name in services for word in ("--service", name)]
    steps = (
        ("invoke", "backup", *flags),
        ("invoke", "down"),
        ("docker", "volume", "rm", *(volume.name for volume in moved)),
        ("invoke", "up", *stack.mode.flags().split()),
        ("invoke", "restore", *flags, "--yes"),
    )
    return " && ".join(command(*words) for words in steps)


@check(
    "network-definitions",
    "Networks match their definition in the files.",
    why="Compose keeps a network whose definition changed until it is recreated.",
)
def network_definitions(
    stack: StackContext,
    model: Model,
    ours: tuple[Container, ...],
    networks: tuple[Network, ...],
) -> Iterator[Verdict]:
    own = own_networks(stack, networks)
    changed = plan(model, ours, own, ()).networks
    for network in changed:
        yield warn(f"the network {network.name} does not match the files", "invoke up")
    if not changed:
        yield ok("networks match the files")


def own_networks(stack: StackContext, networks: Sequence[Network]) -> list[Network]:
    label = "com.docker.compose.project"
    return [n for n in networks if n.labels.get(label) == stack.project]


@check(
    "volumes-known",
    "Every volume of the project is defined in the model.",
    why="Data of a removed service uses disk space and is in no backup.",
)
def volumes_known(
    stack: StackContext, model: Model, volumes: tuple[Volume, ...]
) -> Iterator[Verdict]:
    known = {model.volume_name(key) for key in model.volumes}
    orphans = [
        v
        for v in volumes
        if v.name not in known and v.labels.get(VOLUME_LABEL) not in model.volumes
    ]
    for volume in orphans:
        yield warn(
            f"no service uses the volume {volume.name}",
            command("docker", "volume", "rm", volume.name),
            about=volume.name,
        )
    if not orphans:
        yield ok(f"{len(volumes)} volumes of {stack.project} are known")
