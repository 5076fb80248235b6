"""A checkout with a project of its own on the real engine."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import forked_tasks
from parallel import reserve

ROOT = Path(__file__).resolve().parents[2]
PROJECT_LABEL = "com.docker.compose.project"
EPHEMERAL = "0"


@dataclass
class Scenario:
    """Runs tasks and docker commands for one project, and removes all of it."""

    root: Path
    project: str

    @staticmethod
    def prepare_images() -> None:
        """Build the base and the stand-ins; what is current is not built again."""
        docker_path = shutil.which("docker")
        if docker_path is None:
            return
        subprocess.run([ROOT / "scripts/base-image.sh", "--yes"], check=True)
        file = str(ROOT / "docker/standins/compose.yml")
        docker("compose", "--file", file, "build", "--quiet")

    def invoke(
        self,
        *words: str,
        code: int | None = 0,
        timeout: float = 300,
        env: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `invoke WORDS` in the checkout and require its exit code (None: any)."""
        done = forked_tasks.run(words, self.root, self.environment(env), timeout)
        if code is not None and done.returncode != code:
            raise AssertionError(
                f"invoke {' '.join(words)} ended with {done.returncode}, not {code}\n"
                f"{done.stdout}\n{done.stderr}"
            )
        return done

    def begin(
        self, *words: str, env: dict[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Begin `invoke WORDS` in a process group of its own, for signals."""
        return subprocess.Popen(
            self.command(*words),
            cwd=self.root,
            env=self.environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def json(self, *words: str, code: int = 0) -> Any:
        """Run a task with --json and return its object."""
        return json.loads(self.invoke(*words, "--json", code=code).stdout)

    @staticmethod
    def command(*words: str) -> list[str]:
        return [sys.executable, "-m", "invoke", *words]

    @staticmethod
    def environment(more: dict[str, str] | None = None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("COMPOSE_")}
        return kept | (more or {})

    def set(self, **values: str) -> None:
        """Set variables in the checkout's .env."""
        file = self.root / ".env"
        lines = [
            line
            for line in file.read_text().splitlines()
            if line.split("=")[0] not in values
        ]
        file.write_text(
            "\n".join([*lines, *(f"{k}={v}" for k, v in values.items())]) + "\n"
        )

    def containers(self) -> list[dict[str, Any]]:
        """Return what inspect says of the project's containers, stopped ones too."""
        ids = docker("ps", "-aq", "--filter", f"label={PROJECT_LABEL}={self.project}")
        return inspected("container", ids.split())

    def container(self, service: str) -> dict[str, Any]:
        """Return the one container of a service."""
        found = [c for c in self.containers() if service_of(c) == service]
        assert len(found) == 1, f"{len(found)} containers of {service}"
        return found[0]

    def execute(self, service: str, *words: str) -> str:
        """Run a command in a service's container and return what it printed."""
        return docker("exec", self.container(service)["Id"], *words)

    def published(self, service: str, target: int) -> tuple[str, int]:
        """Return host and port at which a service's port is really published."""
        bindings = self.container(service)["NetworkSettings"]["Ports"][f"{target}/tcp"]
        return bindings[0]["HostIp"], int(bindings[0]["HostPort"])

    def compose(self, *words: str, files: tuple[str, ...]) -> str:
        flags = [w for file in files for w in ("-f", str(self.root / file))]
        env_file = str(self.root / ".env")
        return docker("compose", "--env-file", env_file, *flags, *words)

    def evidence(self) -> str:
        """Return state and last log lines of every container, for a failed test."""
        parts = []
        for container in self.containers():
            state = json.dumps(container["State"], indent=1)
            logs = docker("logs", "--tail", "30", container["Id"], check=False)
            parts.append(f"== {container['Name']} {state}\n{logs}")
        return "\n".join(parts)

    def remove(self) -> None:
        """Remove all that carries the project's label, and its images."""
        remove_project(self.project)
        for pattern in (f"{self.project}-*", f"localhost/{self.project}-*"):
            names = docker(
                *("image", "ls", "--filter", f"reference={pattern}"),
                *("--format", "{{.Repository}}:{{.Tag}}"),
            )
            if names.split():
                docker("image", "rm", *names.split(), check=False)


def remove_project(name: str) -> None:
    """Remove containers, networks and volumes that carry a project's label."""
    label = f"label={PROJECT_LABEL}={name}"
    for noun, listing in (
        ("container", ("ps", "-aq")),
        ("network", ("network", "ls", "-q")),
        ("volume", ("volume", "ls", "-q")),
    ):
        ids = docker(*listing, "--filter", label).split()
        force = [] if noun == "network" else ["--force"]
        volumes = ["--volumes"] if noun == "container" else []
        if ids:
            docker(noun, "rm", *force, *volumes, *ids, check=False)


def created(root: Path) -> Scenario:
    """Copy the checkout to *root* and give it a name, ports and subnets of its own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, target = ROOT / name, root / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    scenario = Scenario(root=root, project=f"test-{uuid.uuid4().hex[:8]}")
    scenario.invoke("init")
    ports = [
        line.split("=")[0]
        for line in (root / ".env.example").read_text().splitlines()
        if "_PORT=" in line
    ]
    scenario.set(
        COMPOSE_PROJECT_NAME=scenario.project,
        ANTHROPIC_API_KEY="trial",
        DATA_ROOT=str(root / "data"),
        **dict.fromkeys(ports, EPHEMERAL),
        **free_subnets(),
    )
    return scenario


def free_port() -> int:
    """Return a port that nobody holds, and neither kernel nor tests give to others."""
    while True:
        port = random.randrange(20_000, 32_000)
        if reserve("port", str(port)) and _can_be_bound(port):
            return port


def _can_be_bound(port: int) -> bool:
    with socket.socket() as plug:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            plug.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_subnets() -> dict[str, str]:
    """Return values for the subnet variables that no network has, nor another test."""
    taken = [
        ip_network(config["Subnet"])
        for network in inspected("network", docker("network", "ls", "-q").split())
        for config in (network["IPAM"]["Config"] or ())
        if ":" not in config["Subnet"]
    ]
    while True:
        block = f"10.{random.randrange(100, 240)}.{random.randrange(31) * 8}"
        block_range = ip_network(f"{block}.0/21")
        is_free = not any(block_range.overlaps(other) for other in taken)
        if is_free and reserve("subnet", block):
            break
    head, third = block.rsplit(".", 1)
    names = ("FRONTEND", "BACKEND", "DATA", "COMPUTE", "GATEWAY")
    subnets = {
        f"{n}_SUBNET": f"{head}.{int(third) + i}.0/24" for i, n in enumerate(names)
    }
    return subnets | {
        "MONITORING_PREFIX": f"{head}.{int(third) + 5}",
        "EDGE_PREFIX": f"{head}.{int(third) + 6}",
    }


def docker(*words: str, check: bool = True) -> str:
    """Run a docker command and return what it printed."""
    done = subprocess.run(
        ["docker", *words], capture_output=True, text=True, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"docker {' '.join(words)}: {done.stderr}")
    return done.stdout if check else done.stdout + done.stderr


def inspected(noun: str, names: list[str]) -> list[dict[str, Any]]:
    """Return what inspect says of those of *names* that are still there."""
    if not names:
        return []
    done = subprocess.run(
        ["docker", noun, "inspect", *names], capture_output=True, text=True, check=False
    )
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def service_of(container: dict[str, Any]) -> str:
    return str(container["Config"]["Labels"].get("com.docker.compose.service", ""))


def end(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> str:
    """Signal a begun task's whole process group, and return what it printed."""
    os.killpg(process.pid, number)
    return process.communicate(timeout=120)[0]
