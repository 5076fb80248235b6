"""A project of real servers from Debian's packages, without a label of ours."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from e2e_scenario import docker
from literal_engine import BASE

from compose_ops.backup import helper
from compose_ops.composition import OPERATIONS
from compose_ops.docker.client import DockerEngine
from compose_ops.project.modes import Mode
from compose_ops.runtime.context import StackContext

IMAGES = "localhost/compose-ops-test"
DOCKERFILES = Path(__file__).parent / "products"

MODEL = f"""
services:
  ledger:
    image: {IMAGES}/postgres:15
    volumes: [ledger_data:/var/lib/postgresql/data]
    healthcheck:
      test: [CMD, pg_isready, --username=postgres, --host=127.0.0.1]
      interval: 1s
      start_period: 30s
      start_interval: 200ms
  cache:
    image: {IMAGES}/redis:7
    volumes: ["./cache:/data"]
    healthcheck:
      test: [CMD, redis-cli, ping]
      interval: 1s
volumes:
  ledger_data:
"""


def build(product: str, version: str) -> None:
    """Build a server's image; what is current is not built again."""
    image = f"{IMAGES}/{product}:{version}"
    docker("build", "--quiet", "--tag", image, str(DOCKERFILES / product))


@dataclass
class Site:
    """A project in a folder of its own, and what its servers say."""

    root: Path
    project: str

    def open(self) -> StackContext:
        """Return the project as an operation gets it."""
        engine = DockerEngine(
            files=[self.root / "compose.yaml"],
            project=self.project,
            directory=self.root,
        )
        helper.build(engine, [BASE])
        return StackContext(
            collaborators=OPERATIONS,
            root=self.root,
            project=self.project,
            mode=Mode(),
            engine=engine,
            everyone=engine.containers(),
            started_as=None,
        )

    def compose(self, *words: str) -> str:
        file = str(self.root / "compose.yaml")
        return docker("compose", "--project-name", self.project, "--file", file, *words)

    def sql(self, text: str) -> str:
        """Return what a statement prints, a line for each row."""
        words = ("psql", "--username=postgres", "--tuples-only", "--no-align", "-qc")
        return self.compose("exec", "-T", "ledger", *words, text).strip()

    def redis(self, *words: str) -> str:
        return self.compose("exec", "-T", "cache", "redis-cli", *words).strip()

    def write_for_ever(self) -> subprocess.Popen[bytes]:
        """Begin pgbench's transactions; they end with the server."""
        words = ("pgbench", "--username=postgres", "--no-vacuum", "--time=600")
        argv = ("docker", "compose", "-p", self.project, "exec", "-T", "ledger")
        return subprocess.Popen(
            [*argv, *words, "postgres"],
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def differences(self) -> list[str]:
        """Return the sums of pgbench's four tables where one is not as the others."""
        sums = self.sql(
            "SELECT sum(abalance) FROM pgbench_accounts UNION ALL "
            "SELECT sum(tbalance) FROM pgbench_tellers UNION ALL "
            "SELECT sum(bbalance) FROM pgbench_branches UNION ALL "
            "SELECT sum(delta) FROM pgbench_history"
        ).split()
        return [] if len(sums) == 4 and len(set(sums)) == 1 else sums

    def corruption(self) -> str:
        """Return what pg_amcheck says of every table and index; nothing when clean."""
        words = ("pg_amcheck", "--username=postgres", "--all", "--install-missing")
        return self.compose("exec", "-T", "ledger", *words).strip()

    def remove(self) -> None:
        self.compose("down", "--volumes", "--timeout", "1")


def made(root: Path) -> Site:
    """Start the project by plain Compose, with pgbench's tables and some keys."""
    for product, version in (("postgres", "15"), ("redis", "7")):
        build(product, version)
    (root / "compose.yaml").write_text(MODEL)
    site = Site(root, f"products-{os.urandom(4).hex()}")
    site.compose("up", "--detach", "--wait")
    words = (
        "pgbench",
        "--username=postgres",
        "--initialize",
        "--scale=5",
        "--quiet",
        "postgres",
    )
    site.compose("exec", "-T", "ledger", *words)
    return site
