"""An engine on another machine: by ssh as the user configured it, and by TLS."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_engine import PrivateEngine
from remote_access import SshHost, ssh_host, tls_host
from remote_site import BASE, RemoteSite
from rollout_site import image

from compose_ops.backup.encryption import one_time_identity

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="a second dockerd needs root"),
]

OVERLAYS = ("private", "replicas", "notes")
UP = ("up", *(word for name in OVERLAYS for word in ("--overlay", name)))


@pytest.fixture(scope="module")
def engine() -> Iterator[PrivateEngine]:
    with PrivateEngine() as engine:
        yield engine


@pytest.fixture(scope="module")
def site(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> RemoteSite:
    return RemoteSite.prepared(tmp_path_factory.mktemp("checkout"), engine)


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


@pytest.fixture(scope="module")
def running(site: RemoteSite, host: SshHost) -> Iterator[RemoteSite]:
    """Run the stack on the engine that ssh reaches, until the tests have ended."""
    env = host.environment()
    site.scenario.invoke(*UP, env=env)
    yield site
    site.scenario.invoke("down", "--volumes", "--yes", env=env)
    assert not site.containers()


def test_stack_runs_on_an_engine_that_ssh_reaches(
    running: RemoteSite, host: SshHost
) -> None:
    """A second up changes nothing, and nothing is on this machine's own engine."""
    first = {name: c["Id"] for name, c in running.containers().items()}
    status = running.json("status", env=host.environment())
    running.scenario.invoke(*UP, env=host.environment())

    health = [(one["service"], one["health"]) for one in status["services"]]
    assert sorted(health)[:2] == [("app", "healthy")] * 2
    assert ("notes", "healthy") in health
    assert {name: c["Id"] for name, c in running.containers().items()} == first
    assert not running.scenario.containers()


def test_encrypted_set_of_a_remote_engine_is_kept_here_and_restored_there(
    running: RemoteSite, host: SshHost, tmp_path: Path
) -> None:
    """
    Of a volume and a folder of its host; sets and state stay on this machine.

    A drill boots it there, beside what runs. A plain set is made over TLS, below.
    """
    env, invoke = host.environment(), running.scenario.invoke
    secret, public = one_time_identity()
    key = tmp_path / "key"
    key.write_text(f"{secret}\n")
    opened = ("--identity", str(key))
    running.write(3)
    before = running.held()

    words = ("backup", "--service", "notes", "--encrypt", str(public))
    made = running.json(*words, env=env)
    running.write(7)
    after, there = running.held(), running.containers().keys()
    invoke("drill", *opened, env=env)
    drilled = running.held()
    assert running.containers().keys() == there
    invoke("restore", "--service", "notes", "--yes", *opened, env=env)
    restored = running.held()
    invoke("restore", "--undo", "--yes", env=env)

    kept = running.scenario.root / "backups" / running.scenario.project / made["id"]
    assert made["stores"][0]["count"] == [6, 6]
    assert [p.suffix for p in kept.iterdir() if "notes" in p.name] == [".age"] * 4
    assert before[:2] == ["3", "3"]
    assert after[:2] == ["7", "7"]
    assert drilled == after
    assert restored == before
    assert running.held() == after


def test_update_is_proven_where_the_ports_are(
    running: RemoteSite, host: SshHost
) -> None:
    """The gateway's port is published on the loopback of the engine's host."""
    words = ("rolling-update", "--service", "app", "--image", image("v2"))
    outcome = running.json(*words, env=host.environment())

    versions = {c["Config"]["Image"] for c in running.containers("app").values()}
    page = running.engine.reach(["curl", "-s", "http://127.0.0.1:8000/"])
    assert outcome["result"] == "updated"
    assert outcome["proof"]["failed"] == 0
    assert outcome["proof"]["requests"] > 100
    assert len(running.containers("app")) == 2
    assert versions
    assert "2" in page.stdout


def test_stack_is_kept_over_tls(running: RemoteSite, tmp_path: Path) -> None:
    """What ssh started is found as it is, and backed up."""
    socket = running.engine.directory / "docker.sock"
    first = {name: c["Id"] for name, c in running.containers().items()}
    with tls_host(tmp_path, socket) as environment:
        running.scenario.invoke(*UP, env=environment)
        running.write(4)
        made = running.json("backup", "--service", "notes", env=environment)

    assert {name: c["Id"] for name, c in running.containers().items()} == first
    assert made["stores"][0]["count"] == [8, 8]


def test_mount_of_what_the_engine_s_host_lacks_is_refused(
    site: RemoteSite, host: SshHost, only_here: Path
) -> None:
    """Docker would make an empty folder there, and start."""
    mount = f"services: {{store: {{volumes: ['{only_here}:/other']}}}}\n"
    (site.scenario.root / "docker/overlays/mount.yml").write_text(mount)
    words = (*UP, "--overlay", "mount", "--service", "store")
    before = site.containers().keys()
    done = site.scenario.invoke(*words, env=host.environment(), code=3)

    assert f"mounts {only_here}, which is not on the engine's host" in done.stderr
    assert site.containers().keys() == before


def test_host_whose_key_is_not_known_is_not_reached(
    site: RemoteSite, host: SshHost
) -> None:
    """Whoever answers in its place would get every secret of the stack."""
    known = host.known_hosts.read_text()
    other = (host.folder / "user_key.pub").read_text()
    host.known_hosts.write_text(f"[127.0.0.1]:{host.port} {other}")
    try:
        env = host.environment(shared=False)
        done = site.scenario.invoke(*UP, env=env, code=5)
    finally:
        host.known_hosts.write_text(known)

    assert "Host key verification failed" in done.stderr
    assert "hint: " in done.stderr


def test_engine_of_another_authority_is_refused(
    site: RemoteSite, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    at = site.engine.directory / "docker.sock"
    with tls_host(ours, at) as environment, tls_host(theirs, at):
        wrong = {**environment, "DOCKER_CERT_PATH": str(theirs)}
        done = site.scenario.invoke(*UP, env=wrong, code=5)

    assert "unknown authority" in done.stderr


@pytest.mark.usefixtures("site")
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
        env={
            **host.environment(shared=False),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[True, False] False"
