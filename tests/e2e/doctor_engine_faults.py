"""Faults of containers, volumes, networks and images of the running project."""

import json
from collections.abc import Iterator
from typing import Any

from doctor_faults import BASE
from doctor_world import Fault, World, fault
from e2e_scenario import docker, inspected
from waiting import eventually

SERVICE = "com.docker.compose.service"
PROJECT = "com.docker.compose.project"

FAULTS: list[Fault] = []


def wait_until(world: World, service: str, wanted: str) -> None:
    """Wait until a service's state or health is *wanted*."""

    def state() -> dict[str, Any]:
        found: dict[str, Any] = world.scenario.container(service)["State"]
        return found

    def holds() -> bool:
        now = state()
        return wanted in {now["Status"], (now.get("Health") or {}).get("Status")}

    eventually(holds, evidence=state)


def name_of(world: World, service: str) -> str:
    return str(world.scenario.container(service)["Name"]).lstrip("/")


@fault(FAULTS, "services-healthy", "app is unhealthy", mended=True)
def service_unhealthy(world: World) -> Iterator[None]:
    """Let the application drain: its health check answers 503 from then on."""
    docker("kill", "--signal", "USR1", name_of(world, "app"))
    wait_until(world, "app", "unhealthy")
    yield
    wait_until(world, "app", "healthy")


@fault(FAULTS, "services-run", "eventstore is exited", mended=True, group="services")
def service_stopped(world: World) -> Iterator[None]:
    docker("stop", name_of(world, "eventstore"))
    yield
    wait_until(world, "eventstore", "healthy")


@fault(FAULTS, "services-run", "questdb is paused", mended=True, group="services")
def service_paused(world: World) -> Iterator[None]:
    """Whatever was paused is unhealthy to the engine until its next health check."""
    docker("pause", name_of(world, "questdb"))
    yield
    wait_until(world, "questdb", "healthy")


@fault(
    FAULTS,
    "container-networks",
    "is not connected to the network",
    mended=True,
    group="services",
)
def network_lost(world: World) -> Iterator[None]:
    """Its own health check asks the container itself, so it stays healthy."""
    container = world.scenario.container("memgraph")
    network = next(iter(container["NetworkSettings"]["Networks"]))
    docker("network", "disconnect", network, container["Id"])
    yield
    aliases = world.scenario.container("memgraph")["NetworkSettings"]["Networks"]
    assert "memgraph" in aliases[network]["Aliases"]


@fault(FAULTS, "services-stay", "restarted", group="engine")
def service_restarts_for_ever(world: World) -> Iterator[None]:
    labels = label(world, "app")
    command = ("run", "--detach", "--restart", "always", *labels, BASE, "false")
    container = docker(*command).strip()
    try:
        eventually(lambda: inspected("container", [container])[0]["RestartCount"] > 1)
        yield
    finally:
        docker("rm", "--force", container)


def label(world: World, service: str) -> tuple[str, ...]:
    pairs = {
        PROJECT: world.scenario.project,
        SERVICE: service,
        "com.docker.compose.oneoff": "False",
    }
    flags = [w for k, v in pairs.items() for w in ("--label", f"{k}={v}")]
    # Compose's own labels of where a project was started from, as its others have.
    like = world.scenario.container("memgraph")["Config"]["Labels"]
    for name in ("working_dir", "config_files"):
        key = f"com.docker.compose.project.{name}"
        flags += ["--label", f"{key}={like[key]}"]
    return tuple(flags)


OPEN_FILES = (
    "import os, time; kept = [os.dup(0) for _ in range(90)];"
    "print('open', flush=True); time.sleep(300)"
)


@fault(FAULTS, "file-descriptors", "of 100 file descriptors", group="engine")
def container_out_of_file_descriptors(world: World) -> Iterator[None]:
    limit = ("--ulimit", "nofile=100:100")
    command = ("run", "--detach", *limit, *label(world, "app"), BASE, "python3", "-c")
    container = docker(*command, OPEN_FILES).strip()
    try:
        eventually(lambda: "open" in docker("logs", container))
        yield
    finally:
        docker("rm", "--force", container)


@fault(FAULTS, "containers-known", "is an orphan", mended=True, group="leftovers")
def container_of_no_service(world: World) -> Iterator[None]:
    command = ("run", "--detach", *label(world, "removed"), BASE, "sleep", "300")
    container = docker(*command).strip()
    yield
    docker("rm", "--force", container, check=False)


@fault(FAULTS, "project-name", "was started from /elsewhere", mended=True)
def project_of_another_checkout(world: World) -> Iterator[None]:
    labels = {
        PROJECT: world.scenario.project,
        SERVICE: "app",
        "com.docker.compose.project.working_dir": "/elsewhere",
        "com.docker.compose.project.config_files": "/elsewhere/docker-compose.yml",
    }
    flags = [word for k, v in labels.items() for word in ("--label", f"{k}={v}")]
    container = docker("create", *flags, BASE, "true").strip()
    yield
    docker("rm", container)


@fault(FAULTS, "containers-current", "app was created from older files", mended=True)
def settings_changed_since(world: World) -> Iterator[None]:
    """Let the new value stay: the repair has created the container from it."""
    world.scenario.set(ANTHROPIC_API_KEY="another-key")
    yield
    world.keep(".env")


@fault(FAULTS, "network-definitions", "does not match the files", group="engine")
def network_changed_since(world: World) -> Iterator[None]:
    world.scenario.set(COMPUTE_SUBNET="10.99.99.0/24")
    yield


@fault(
    FAULTS,
    "volumes-known",
    "no service uses the volume",
    mended=True,
    group="leftovers",
)
def volume_of_no_service(world: World) -> Iterator[None]:
    name = f"{world.scenario.project}_removed"
    docker("volume", "create", "--label", f"{PROJECT}={world.scenario.project}", name)
    yield
    docker("volume", "rm", "--force", name, check=False)


@fault(FAULTS, "images-current", "runs an older image", group="engine")
def image_built_since(world: World) -> Iterator[None]:
    name = f"{world.scenario.project}-app:latest"
    before = json.loads(docker("image", "inspect", name))[0]["Id"]
    docker("tag", BASE, name)
    yield
    docker("tag", before, name)


@fault(FAULTS, "journals", "a backup was interrupted", mended=True, group="leftovers")
def backup_killed_while_a_store_is_stopped(world: World) -> Iterator[None]:
    """Leave what a killed backup leaves: a stopped store, and its journal."""
    store = world.scenario.container("questdb")
    name = str(store["Name"]).lstrip("/")
    halted = {"id": store["Id"], "name": name, "service": "questdb"}
    [state] = (world.root / ".compose-ops").glob(f"*/{world.scenario.project}")
    journal = state / "journal/backup-1.json"
    journal.parent.mkdir(exist_ok=True)
    facts = {"step": "stopping stores", "run": "1", "stores": [halted]}
    docker("stop", name)
    journal.write_text(json.dumps({"kind": "backup", "facts": facts}))
    yield
    wait_until(world, "questdb", "healthy")
    assert not journal.exists()


@fault(FAULTS, "kept-data", "set data of questdb aside", group="engine")
def data_kept_by_a_restore(world: World) -> Iterator[None]:
    """Leave the note of a restore of last year."""
    [state] = (world.root / ".compose-ops").glob(f"*/{world.scenario.project}")
    entry = {
        "restore": "20200101T000000Z-1",
        "services": ["questdb"],
        "volumes": [],
        "moved": "2020-01-01T00:00:00+00:00",
        "counts": {},
    }
    (state / "previous.json").write_text(json.dumps([entry]))
    yield
    (state / "previous.json").unlink(missing_ok=True)
