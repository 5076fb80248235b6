"""`init --prod` of a user who may use the engine and is not root."""

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme  # noqa: F401 - before the user changes, who may not read it
from e2e_scenario import ROOT
from repository import CONFIG, config_in

from compose_ops.docker.client import DockerEngine
from compose_ops.errors import ComposeOpsError
from compose_ops.project import env_file
from compose_ops.stack import certificates, production

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user"),
]

PLAIN = 4321
SERVERS = CONFIG.init.certificates.servers
SOCKET = Path("/var/run/docker.sock")


@pytest.fixture
def checkout() -> Iterator[Path]:
    """Return a plain user's checkout, whose DATA_ROOT lies in a folder of root's."""
    top = Path(tempfile.mkdtemp(prefix="jimbot-plain-"))
    root = top / "checkout"
    root.mkdir()
    shutil.copy(ROOT / ".env.example", root)
    (root / ".env").write_text(f"DATA_ROOT={top}/srv/data\n")
    (top / "srv").mkdir()
    top.chmod(0o755)
    for path in (root, *root.iterdir()):
        os.chown(path, PLAIN, PLAIN)
    yield root
    shutil.rmtree(top)


def as_plain_user(action: Callable[[], object]) -> object:
    """Do *action* as a plain user of the docker group; return what it returned."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(SOCKET.stat().st_gid)
            os.setuid(PLAIN)
            os.environ["HOME"] = "/nowhere"
            found = action()
        except BaseException as wrong:  # noqa: BLE001 - it goes to the parent
            found = wrong
        os.write(writing, pickle.dumps(found))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        content = answer.read()
    os.waitpid(child, 0)
    return pickle.loads(content)


def init(root: Path, engine: DockerEngine | None) -> Callable[[], list[str]]:
    def action() -> list[str]:
        done = []
        values = env_file.settings([root / ".env"])
        for step in production.steps(engine, config_in(root), values):
            step.act()
            done.append(step.what)
        return done

    return action


def test_keys_and_folders_are_made_through_a_container(checkout: Path) -> None:
    """Each key is its service's alone, and a second run has nothing to do."""
    first = as_plain_user(init(checkout, DockerEngine()))
    second = as_plain_user(init(checkout, DockerEngine()))

    assert isinstance(first, list), first
    assert len(first) == 3
    for name, server in SERVERS.items():
        key = (checkout / "certs" / name / "key.pem").stat()
        assert (key.st_uid, key.st_gid) == (server.uid, server.gid)
        assert key.st_mode & 0o777 == 0o400
        assert (checkout / "certs" / name).stat().st_uid == PLAIN
    for name in ("memgraph", "questdb"):
        assert (checkout.parent / "srv/data" / name).is_dir()
    assert second == []


def test_without_an_engine_the_commands_are_named(checkout: Path) -> None:
    """The certificates are whole: after those commands nothing is left to do."""
    refused = as_plain_user(init(checkout, None))

    assert isinstance(refused, ComposeOpsError)
    assert refused.exit_code == 3
    for name, server in SERVERS.items():
        key = checkout / "certs" / name / "key.pem"
        assert f"sudo chown {server.uid}:{server.gid} {key}" in refused.hint
        os.chown(key, server.uid, server.gid)
    assert all(path.exists() for path in certificates.files(config_in(checkout)))

    again = as_plain_user(init(checkout, None))
    assert isinstance(again, ComposeOpsError)
    assert f"sudo mkdir -p {checkout.parent}/srv/data" in again.hint
    assert not (checkout.parent / "srv/data").exists()
