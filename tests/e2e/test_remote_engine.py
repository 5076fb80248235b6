"""An engine on another machine: by ssh as the user configured it, and by TLS."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e_scenario import Scenario, created
from private_engine import PrivateEngine
from remote_access import SshHost, ssh_host, tls_host

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a second dockerd needs root"),
]

BASE = "localhost/jimbot-base:bookworm"
OVERLAY = """\
services:
  small:
    image: localhost/jimbot-base:bookworm
    command: [sh, -c, "trap 'exit 0' TERM; sleep infinity & wait"]
    network_mode: none
    mem_limit: 64m
    healthcheck:
      test: [CMD, "true"]
      interval: 30s
      start_period: 30s
      start_interval: 1s
"""
UP = ("up", "--overlay", "small", "--service", "small")


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with PrivateEngine() as engine:
        engine.load(BASE)
        yield engine


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """Return a checkout with one small service."""
    scenario = created(tmp_path_factory.mktemp("checkout"))
    (scenario.root / "docker/overlays/small.yml").write_text(OVERLAY)
    return scenario


@pytest.fixture
def only_here() -> Iterator[Path]:
    """Return a folder of this machine; the private engine's /run is another one."""
    folder = Path(tempfile.mkdtemp(dir="/run"))
    yield folder
    folder.rmdir()


@pytest.fixture(scope="module")
def host(
    engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SshHost]:
    with ssh_host(tmp_path_factory.mktemp("ssh"), docker_host=engine.host) as host:
        yield host


def of_project(engine: PrivateEngine, site: Scenario) -> dict[str, str]:
    """Return name and state of the project's containers on the private engine."""
    label = f"label=com.docker.compose.project={site.project}"
    listed = engine.docker("ps", "-a", "--filter", label, "--format", "json")
    found = [json.loads(line) for line in listed.splitlines()]
    return {one["Names"]: one["State"] for one in found}


def test_stack_runs_on_an_engine_that_ssh_reaches(
    engine: PrivateEngine, site: Scenario, host: SshHost
) -> None:
    site.invoke(*UP, env=host.environment())
    first = of_project(engine, site)
    status = site.invoke("status", "--json", env=host.environment())
    shown = {c["service"]: c for c in json.loads(status.stdout)["services"]}
    site.invoke(*UP, env=host.environment())

    assert list(first.values()) == ["running"]
    assert shown["small"]["health"] == "healthy"
    assert of_project(engine, site) == first
    assert not site.containers(), "nothing of it is on this machine's own engine"

    site.invoke("down", env=host.environment())
    assert not of_project(engine, site)


def test_mount_of_what_the_engine_s_host_lacks_is_refused(
    engine: PrivateEngine, site: Scenario, host: SshHost, only_here: Path
) -> None:
    """Docker would make an empty folder there, and start."""
    mount = f"services: {{small: {{volumes: ['{only_here}:/data']}}}}\n"
    (site.root / "docker/overlays/mount.yml").write_text(mount)
    words = ("up", "--overlay", "small", "--overlay", "mount", "--service", "small")
    done = site.invoke(*words, env=host.environment(), code=3)

    assert f"mounts {only_here}, which is not on the engine's host" in done.stderr
    assert not of_project(engine, site)


def test_host_whose_key_is_not_known_is_not_reached(
    site: Scenario, host: SshHost
) -> None:
    """Whoever answers in its place would get every secret of the stack."""
    known = host.known_hosts.read_text()
    other = (host.folder / "user_key.pub").read_text()
    host.known_hosts.write_text(f"[127.0.0.1]:{host.port} {other}")
    try:
        done = site.invoke(*UP, env=host.environment(), code=5)
    finally:
        host.known_hosts.write_text(known)

    assert "Host key verification failed" in done.stderr
    assert "hint: " in done.stderr


def test_stack_runs_on_an_engine_behind_tls(
    engine: PrivateEngine, site: Scenario, tmp_path: Path
) -> None:
    with tls_host(tmp_path, engine.directory / "docker.sock") as environment:
        site.invoke(*UP, env=environment)
        running = of_project(engine, site)
        site.invoke("down", env=environment)

    assert list(running.values()) == ["running"]
    assert not of_project(engine, site)


def test_engine_of_another_authority_is_refused(
    engine: PrivateEngine, site: Scenario, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    at = engine.directory / "docker.sock"
    with tls_host(ours, at) as environment, tls_host(theirs, at):
        wrong = {**environment, "DOCKER_CERT_PATH": str(theirs)}
        done = site.invoke(*UP, env=wrong, code=5)

    assert "unknown authority" in done.stderr


def test_paths_are_looked_for_where_the_engine_is(host: SshHost) -> None:
    """The private engine's /run is not this machine's."""
    script = (
        "from pathlib import Path\n"
        "from compose_ops.docker.client import DockerEngine\n"
        "engine = DockerEngine()\n"
        f"found = [engine.path_exists(Path(p), image={BASE!r})"
        " for p in ('/etc', '/nowhere')]\n"
        "print(found, engine.endpoint().is_local)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**host.environment(), "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[True, False] False"
