"""Faults of files, settings, ports and kernel objects, each really made."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from doctor_world import Fault, World, fault
from e2e_scenario import docker, free_port
from waiting import eventually

from compose_ops.backup import manifest

BASE = "localhost/jimbot-base:bookworm"
BAD_OVERLAY = "services:\n  app:\n    nonsense: true\n"
GREEDY = (
    "services:\n  memgraph:\n    deploy:\n      resources:\n"
    "        limits: {memory: 900G}\n        reservations: {memory: 800G}\n"
)
OPEN_PORT = 'services:\n  app:\n    ports: ["0.0.0.0:0:8000"]\n'

FAULTS: list[Fault] = []


def write(world: World, name: str, text: str) -> Path:
    path = world.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@fault(FAULTS, "env-file", "there is no .env", mended=True)
def settings_gone(world: World) -> Iterator[str]:
    (world.root / ".env").unlink()
    yield f"export COMPOSE_PROJECT_NAME={world.scenario.project}"


@fault(FAULTS, "env-file", ".env cannot be read", mended=True)
def settings_in_another_encoding(world: World) -> Iterator[str]:
    with (world.root / ".env").open("ab") as file:
        file.write("# Überwachung\n".encode("latin-1"))
    yield f"export COMPOSE_PROJECT_NAME={world.scenario.project}"


@fault(FAULTS, "env-missing", "lacks LOG_LEVEL", mended=True, group="lines")
def variable_missing(world: World) -> Iterator[None]:
    file = world.root / ".env"
    lines = [n for n in file.read_text().splitlines() if not n.startswith("LOG_LEVEL")]
    file.write_text("\n".join(lines) + "\n")
    yield


@fault(
    FAULTS,
    "env-interpolation",
    "LOG_LEVEL of .env otherwise",
    mended=True,
    group="files",
)
def value_cut_at_a_dollar(world: World) -> Iterator[None]:
    world.scenario.set(LOG_LEVEL="INFO$defgh")
    yield


@fault(
    FAULTS,
    "env-unknown",
    "no compose file reads QUESTDB_HTTP_PRT",
    mended=True,
    group="lines",
)
def variable_misspelt(world: World) -> Iterator[None]:
    file = world.root / ".env"
    file.write_text(file.read_text() + "QUESTDB_HTTP_PRT=0\n")
    yield


@fault(
    FAULTS,
    "env-placeholder",
    "ANTHROPIC_API_KEY is a placeholder",
    "--dev",
    group="dev",
)
def key_is_a_placeholder(world: World) -> Iterator[None]:
    world.scenario.set(ANTHROPIC_API_KEY="change-me")
    yield


@fault(FAULTS, "env-private", "can read .env", mended=True, group="files")
def settings_world_readable(world: World) -> Iterator[None]:
    (world.root / ".env").chmod(0o644)
    yield


@fault(FAULTS, "env-file", "is not an assignment", mended=True, group="lines")
def settings_torn(world: World) -> Iterator[None]:
    file = world.root / ".env"
    file.write_text(file.read_text() + "half a line\n")
    yield


@fault(
    FAULTS,
    "env-file",
    "CLAUDE_RATE_LIMIT is set more than once",
    mended=True,
    group="lines",
)
def variable_twice(world: World) -> Iterator[None]:
    file = world.root / ".env"
    file.write_text(file.read_text() + "CLAUDE_RATE_LIMIT=200\n")
    yield


@fault(
    FAULTS,
    "secret-present",
    "db_password has no file",
    mended=True,
    group="dev",
)
def secret_removed(world: World) -> Iterator[None]:
    (world.root / "secrets/db_password.txt").unlink()
    yield


@fault(FAULTS, "secret-present", "is a folder", mended=True, group="bad secrets")
def secret_is_a_folder(world: World) -> Iterator[None]:
    path = world.root / "secrets/api_keys.json"
    path.unlink()
    path.mkdir()
    yield


@fault(
    FAULTS,
    "secret-readable",
    "app runs as uid 1000 and cannot read the secret",
    mended=True,
    group="files",
)
def secret_owned_wrongly(world: World) -> Iterator[None]:
    path = world.root / "secrets/db_password.txt"
    os.chown(path, 4711, 4711)
    path.chmod(0o400)
    yield


@fault(FAULTS, "secret-private", "can read the secret", mended=True, group="leftovers")
def secret_world_readable(world: World) -> Iterator[None]:
    (world.root / "secrets").chmod(0o755)
    yield


@fault(FAULTS, "secret-strength", "easy to guess", mended=True, group="weak secrets")
def secret_weak(world: World) -> Iterator[None]:
    write(world, "secrets/db_password.txt", "jimbot123")
    yield


@fault(FAULTS, "secret-strength", "is a placeholder", mended=True, group="bad secrets")
def secret_placeholder(world: World) -> Iterator[None]:
    write(world, "secrets/db_password.txt", "change-me\n")
    yield


@fault(FAULTS, "secret-strength", "is not JSON", mended=True, group="weak secrets")
def secret_torn(world: World) -> Iterator[None]:
    write(world, "secrets/api_keys.json", '{"anthropic": ')
    yield


@fault(FAULTS, "shell-variables", "COMPOSE_PROFILES is set", group="shell")
def stray_compose_variable(_world: World) -> Iterator[str]:
    yield "export COMPOSE_PROFILES=extra"


@fault(FAULTS, "shell-variables", "DOCKER_BUILDKIT is set", group="shell")
def stray_docker_variable(_world: World) -> Iterator[str]:
    yield "export DOCKER_BUILDKIT=0"


@fault(FAULTS, "shell-overrides", "LOG_LEVEL of this shell overrides", group="shell")
def shell_overrides_settings(_world: World) -> Iterator[str]:
    yield "export LOG_LEVEL=trace"


@fault(FAULTS, "engine-answers", "no Docker Engine answers")
def host_that_is_no_engine(_world: World) -> Iterator[str]:
    yield "export DOCKER_HOST=unix:///nonexistent.sock"


@fault(FAULTS, "engine-answers", "no docker client is on PATH")
def client_missing(_world: World) -> Iterator[str]:
    yield "export PATH=/nonexistent"


@fault(FAULTS, "engine-place", "its containers do not see this checkout", group="shell")
def engine_of_another_machine(world: World) -> Iterator[str]:
    """Let a relay carry the engine's socket over TCP, as from another machine."""
    with relayed() as host:
        yield f"export DOCKER_HOST={host}"
    assert world.root.exists()


@contextmanager
def relayed() -> Iterator[str]:
    """Yield the address under which the engine seems to be on another machine."""
    port = free_port()
    relay = Path(__file__).with_name("doctor_relay.py")
    with subprocess.Popen(["python3", str(relay), str(port)]) as process:
        try:
            eventually(lambda: _is_open(port))
            yield f"tcp://127.0.0.1:{port}"
        finally:
            process.terminate()


def _is_open(port: int) -> bool:
    with socket.socket() as plug:
        return plug.connect_ex(("127.0.0.1", port)) == 0


@fault(FAULTS, "ports-free", "(pid ", "--dev", "--offline", mended=True, group="ports")
def port_taken_by_a_process(world: World) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        world.scenario.set(APP_DEBUG_PORT=str(server.getsockname()[1]))
        yield


@fault(
    FAULTS,
    "ports-free",
    "is used by the container",
    *("--dev", "--offline"),
    mended=True,
    group="ports",
)
def port_taken_by_a_container(world: World) -> Iterator[None]:
    port = free_port()
    world.scenario.set(MEMGRAPH_LAB_PORT=str(port))
    publish = ("--publish", f"127.0.0.1:{port}:8000")
    other = docker("run", "--detach", *publish, BASE, "sleep", "300").strip()
    try:
        yield
    finally:
        docker("rm", "--force", other)


@fault(
    FAULTS, "bind-address", "no address 203.0.113.7", "--dev", mended=True, group="dev"
)
def address_of_another_machine(world: World) -> Iterator[None]:
    port = str(free_port())
    world.scenario.set(BIND_ADDRESS="203.0.113.7", APP_DEBUG_PORT=port)
    yield


@fault(FAULTS, "cpu-limits", "may use 4000 cores", mended=True, group="files")
def more_cores_than_there_are(world: World) -> Iterator[None]:
    world.scenario.set(RAY_CPUS="4000")
    yield


@fault(
    FAULTS,
    "memory",
    "too little memory",
    *("--offline", "--overlay=greedy"),
    group="overlays",
)
def more_memory_than_there_is(world: World) -> Iterator[None]:
    write(world, "docker/overlays/greedy.yml", GREEDY)
    yield


@fault(FAULTS, "model-valid", "not valid", "--offline", "--overlay=bad")
def compose_refuses_the_files(world: World) -> Iterator[None]:
    write(world, "docker/overlays/bad.yml", BAD_OVERLAY)
    yield


@fault(
    FAULTS,
    "model-rules",
    "port-on-all-interfaces",
    *("--offline", "--overlay=open"),
    group="overlays",
)
def port_on_every_address(world: World) -> Iterator[None]:
    write(world, "docker/overlays/open.yml", OPEN_PORT)
    yield


@fault(FAULTS, "images-obtainable", "no registry has it", "--dev", group="dev")
def image_that_cannot_be_had(world: World) -> Iterator[None]:
    world.scenario.set(QUESTDB_TAG="no-such-version")
    yield


@fault(
    FAULTS,
    "images-obtainable",
    "did not answer in time",
    *("--offline", "--overlay=mute"),
    group="overlays",
)
def registry_that_does_not_answer(world: World) -> Iterator[None]:
    """Take connections like a registry, and say nothing on them."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        image = f"127.0.0.1:{server.getsockname()[1]}/questdb:1"
        text = f"services:\n  questdb:\n    image: {image}\n"
        write(world, "docker/overlays/mute.yml", text)
        yield


@fault(FAULTS, "bind-folders", "mounts config, which does not exist", group="engine")
def mounted_folder_gone(world: World) -> Iterator[None]:
    subprocess.run(["rm", "-r", str(world.root / "config")], check=True)
    yield


@fault(
    FAULTS, "bind-readable", "cannot read config/app.json", mended=True, group="files"
)
def mounted_file_closed(world: World) -> Iterator[None]:
    (world.root / "config/app.json").chmod(0o600)
    yield


@fault(
    FAULTS,
    "data-folders",
    "does not exist",
    *("--prod", "--offline"),
    mended=True,
    group="prod",
)
def data_folder_missing(world: World) -> Iterator[None]:
    """Have no folder of QuestDB; there may be one of Memgraph."""
    root = world.root / "data-elsewhere"
    world.scenario.set(DATA_ROOT=str(root))
    yield
    subprocess.run(["rm", "-rf", str(root)], check=True)


@fault(
    FAULTS,
    "data-owners",
    "belongs to uid 4711",
    *("--prod", "--offline"),
    mended=True,
    group="prod",
)
def data_owned_wrongly(world: World) -> Iterator[None]:
    folder = world.root / "data-elsewhere/memgraph"
    folder.mkdir(parents=True)
    (folder / "snapshots").mkdir()
    os.chown(folder, 4711, 4711)
    world.scenario.set(DATA_ROOT=str(folder.parent))
    yield
    subprocess.run(["rm", "-rf", str(folder.parent)], check=True)


@fault(
    FAULTS, "volume-definitions", "this mode wants", "--prod", "--offline", group="prod"
)
def volume_of_another_mode(_world: World) -> Iterator[None]:
    yield


@fault(FAULTS, "disk-space", "the disk is full", group="engine")
def disk_full(world: World) -> Iterator[None]:
    with mounted(world, "size=64m"):
        (world.root / "backups/full").write_bytes(bytes(60 * 1024**2))
        yield


@fault(FAULTS, "disk-space", "the next backup", "--offline", group="overlays")
def disk_too_small_for_a_backup(world: World) -> Iterator[None]:
    """Let the newest set be larger than what is free beside it."""
    with mounted(world, "size=1500m"):
        kept = large_set(world.scenario.project, 2 * 1024**3)
        name = f"backups/{world.scenario.project}/{kept.id}/manifest.json"
        write(world, name, manifest.written(kept))
        yield


def large_set(project: str, size: int) -> manifest.Manifest:
    """Return the manifest of a set whose one archive has that many bytes."""
    whole = manifest.Archive(
        key="questdb_data",
        volume=f"{project}_questdb_data",
        driver="local",
        options={},
        labels={},
        sha256="0" * 64,
        size=size,
        plain_sha256="0" * 64,
        files=1,
        bytes=size,
        listing_sha256="0" * 64,
    )
    store = manifest.Store(
        service="questdb",
        consistency="stop",
        image="questdb",
        image_id="sha256:" + "0" * 64,
        version="7.3",
        exit_code=0,
        count=(1,),
        grows=False,
        archives=(whole,),
    )
    return manifest.Manifest(
        id="20260101T000000Z-0001",
        project=project,
        created="2026-01-01T00:00:00+00:00",
        coherent=True,
        compression="zstd",
        encrypted=False,
        engine="26.1.5",
        tool="0",
        stores=(store,),
    )


@fault(FAULTS, "inodes", "inodes are free", group="files")
def inodes_used_up(world: World) -> Iterator[None]:
    with mounted(world, "size=4g,nr_inodes=40"):
        with suppress(OSError):
            for number in range(100):
                (world.root / f"backups/{number}").touch()
        yield


class mounted:  # noqa: N801 - reads as what it does
    """A small filesystem where backups lie."""

    def __init__(self, world: World, options: str) -> None:
        self.folder = world.root / "backups"
        self.options = options

    def __enter__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", self.options, "tmpfs"]
        subprocess.run([*mount, str(self.folder)], check=True)

    def __exit__(self, *_error: object) -> None:
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)


@fault(FAULTS, "partial-files", "is unfinished", mended=True, group="leftovers")
def half_written_backup(world: World) -> Iterator[None]:
    name = f"backups/{world.scenario.project}/.partial-20200101T000000Z-0001"
    path = write(world, f"{name}/memgraph.tar.zst", "half")
    long_ago = time.time() - 86400
    for one in (path, path.parent):
        os.utime(one, (long_ago, long_ago))
    yield
    subprocess.run(["rm", "-rf", str(world.root / "backups")], check=True)


@fault(FAULTS, "backup-age", "the last verified backup is 30d", group="leftovers")
def backup_too_old(world: World) -> Iterator[None]:
    """Leave a set of 30 days ago that was verified today."""
    now = datetime.now(UTC)
    made = (now - timedelta(days=30)).isoformat(timespec="seconds")
    kept = replace(large_set(world.scenario.project, 1), created=made)
    folder = f"backups/{world.scenario.project}/{kept.id}"
    write(world, f"{folder}/manifest.json", manifest.written(kept))
    write(world, f"{folder}/record.json", json.dumps({"verified": now.isoformat()}))
    write(world, f"{folder}/questdb_data.tar.zst", "x")
    yield
    subprocess.run(["rm", "-rf", str(world.root / "backups")], check=True)
