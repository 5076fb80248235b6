"""
Three machines and a registry, none of which the machine's own engine sees.

Each machine is a `PrivateEngine`; a switch, a bridge in a network namespace of its own,
connects them and holds the registry: Debian's docker-registry, with a login. The
checkout is hidden from the engines, as it would be on other machines.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import debian_packages
from private_engine import PrivateEngine
from repository import ROOT

FILES = Path(__file__).parent / "swarm"
BASE = "localhost/jimbot-base:bookworm"
SWITCH, SUBNET = "10.88.0.1", "10.88.0"
REGISTRY = f"{SWITCH}:5000"
USER, PASSWORD = "deployer", "trial-password"
# The registry takes no other kind than bcrypt.
HTPASSWD = f"{USER}:$2b$05$aaaaaaaaaaaaaaaaaaaaaOgYxI4n5mHJoHj.9RDtBvuzad0B6cSsW\n"
_SWITCH = (
    "ip link set lo up && ip link add swarm type bridge && ip link set swarm up && "
    f"ip addr add {SWITCH}/24 dev swarm && echo ready && exec cat"
)
_CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {data}}}}}
http: {{addr: "{address}"}}
auth: {{htpasswd: {{realm: trial, path: {passwords}}}}}
"""


@dataclass(frozen=True)
class SwarmSite:
    """A project of this machine, and the three engines that it may be deployed on."""

    folder: Path
    engines: Sequence[PrivateEngine]
    client: Path

    @property
    def project(self) -> str:
        return self.folder.name

    @property
    def manager(self) -> PrivateEngine:
        return self.engines[0]

    def environment(self, **values: str) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DOCKER_HOST": self.manager.host,
            "DOCKER_CONFIG": str(self.client),
            "REGISTRY": f"{REGISTRY}/trial",
            **values,
        }

    def begin(self, *words: str, **values: str) -> "subprocess.Popen[str]":
        """Begin a task as a user would, in the project's folder."""
        return subprocess.Popen(
            [sys.executable, "-m", "compose_ops", *words],
            cwd=self.folder,
            env=self.environment(**values),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def task(self, *words: str, code: int = 0, **values: str) -> tuple[str, str]:
        """Run a task to its end; return its output and its messages."""
        with self.begin(*words, **values) as process:
            try:
                out, err = process.communicate(timeout=120)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                raise AssertionError(f"{words} hangs\n{out}\n{err}") from None
        said = f"{words}: {process.returncode}\n{out}\n{err}\n{self.evidence()}"
        assert process.returncode == code, said
        return out, err

    def json(self, *words: str) -> Any:
        return json.loads(self.task(*words, "--json")[0])

    def docker(self, *words: str) -> str:
        """Run a docker command on the manager, as the user who deploys."""
        return subprocess.run(
            ["docker", *words],
            cwd=self.folder,
            env=self.environment(),
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def page(self, node: int) -> dict[str, Any]:
        """Return what the page on a node's port says, {} where nobody answers."""
        url = f"http://{SUBNET}.1{node}:8000"
        ask = (
            "import urllib.request as r; "
            f"print(r.urlopen({url!r}, timeout=5).read().decode())"
        )
        done = self.manager.reach([sys.executable, "-c", ask])
        found: dict[str, Any] = json.loads(done.stdout or "{}")
        return found

    def evidence(self) -> str:
        """Return what the manager says of the stack, for a failure's message."""
        done = subprocess.run(
            ["docker", "stack", "ps", "--no-trunc", self.project],
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout[-4000:] + done.stderr


@contextmanager
def swarm_site(folder: Path) -> Iterator[SwarmSite]:
    """Run three engines in one Swarm and a registry, with a project to deploy."""
    with ExitStack() as stack:
        switch = stack.enter_context(_switch())
        settings = {"insecure-registries": [REGISTRY], "no-new-privileges": True}
        engines = [
            stack.enter_context(PrivateEngine(hostname=f"node{n}", settings=settings))
            for n in (1, 2, 3)
        ]
        for number, engine in enumerate(engines, 1):
            _plug(switch, engine, number)
        stack.enter_context(_registry(folder, switch))
        engines[0].load(BASE)
        _join(engines)
        checkout = folder / f"shop-{uuid.uuid4().hex[:8]}"
        shutil.copytree(FILES, checkout)
        (checkout / "token.txt").write_text("first\n")
        for engine in engines:
            engine.hide(checkout)
        site = SwarmSite(checkout, engines, _client(folder))
        for label, node in (("web", 2), ("web", 3), ("store", 3)):
            words = ("node", "update", "--label-add", f"{label}=true", f"node{node}")
            site.docker(*words)
        yield site


@contextmanager
def _switch() -> Iterator[int]:
    """Yield the process whose network namespace has the bridge."""
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", _SWITCH],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "no bridge: is this root?"
        yield holder.pid
    finally:
        holder.communicate()


def _plug(switch: int, engine: PrivateEngine, number: int) -> None:
    """Connect an engine's network namespace with the switch."""
    port = ("link", "add", f"port{number}", "netns", str(switch), "type", "veth")
    _run("ip", *port, "peer", "name", "eth0", "netns", str(engine.pid))
    at_switch = ("nsenter", f"--target={switch}", "--net", "ip", "link", "set")
    _run(*at_switch, f"port{number}", "master", "swarm", "up")
    for words in (
        f"addr add {SUBNET}.1{number}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {SWITCH}",
    ):
        done = engine.reach(["ip", *words.split()])
        assert done.returncode == 0, done.stderr


def _join(engines: Sequence[PrivateEngine]) -> None:
    """Make one Swarm of them, the first its manager."""
    first, *others = engines
    pool = ("--default-addr-pool", "10.90.0.0/16")
    first.docker("swarm", "init", "--advertise-addr", f"{SUBNET}.11", *pool)
    token = first.docker("swarm", "join-token", "--quiet", "worker")
    for number, engine in enumerate(others, 2):
        address = ("--advertise-addr", f"{SUBNET}.1{number}")
        engine.docker("swarm", "join", "--token", token, *address, f"{SUBNET}.11:2377")


@contextmanager
def _registry(folder: Path, switch: int) -> Iterator[None]:
    home = folder / "registry"
    home.mkdir()
    (home / "passwords").write_text(HTPASSWD)
    config = home / "config.yml"
    config.write_text(
        _CONFIG.format(
            data=home / "data", address=REGISTRY, passwords=home / "passwords"
        )
    )
    program = _installed(home)
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *("nsenter", f"--target={switch}", "--net", "--"),
                *(program, "serve", str(config)),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def _installed(home: Path) -> str:
    """Return docker-registry, unpacked from its package where it is not installed."""
    if installed := shutil.which("docker-registry"):
        return installed
    root = debian_packages.unpacked(home, "docker-registry")
    return str(root / "usr/bin/docker-registry")


def _client(folder: Path) -> Path:
    """Return the folder of a docker client that is logged in at the registry."""
    client = folder / "client"
    client.mkdir()
    login = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (client / "config.json").write_text(
        json.dumps({"auths": {REGISTRY: {"auth": login}}})
    )
    return client


def _run(*argv: str, cwd: Path | None = None) -> str:
    return subprocess.run(
        argv, cwd=cwd, check=True, capture_output=True, text=True
    ).stdout
