"""A project that never heard of compose-ops, and the wheel installed beside it."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e_scenario import docker, inspected
from literal_engine import BASE
from repository import ROOT

FILES = Path(__file__).parent / "foreign"
MARIADB_FILES = Path(__file__).parent / "foreign_mariadb"
SERVERS = Path(__file__).parent / "products"
PRODUCTS = {"postgres": "15", "redis": "7"}
MARIADB = {"mariadb": "10"}
LABEL = "com.docker.compose.project"
PRODUCTION = ("--file", "compose.yaml", "--file", "compose.prod.yaml")
SUMS = (
    "SELECT sum(abalance) FROM pgbench_accounts UNION ALL "
    "SELECT sum(tbalance) FROM pgbench_tellers UNION ALL "
    "SELECT sum(bbalance) FROM pgbench_branches UNION ALL "
    "SELECT sum(delta) FROM pgbench_history"
)
END_OF_LOAD = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE application_name = 'pgbench'"
)
# No image registry is asked in a test.
HELPER = f'\n[backup]\nhelper_base = ["{BASE}"]\n'


@dataclass(frozen=True)
class Foreign:
    """A copy of the project in a folder of its own, and what was installed."""

    folder: Path
    programs: Path

    @classmethod
    def copied(
        cls,
        parent: Path,
        programs: Path,
        *,
        files: Path = FILES,
        products: Mapping[str, str] = PRODUCTS,
    ) -> "Foreign":
        for product, version in products.items():
            image = f"localhost/compose-ops-test/{product}:{version}"
            docker("build", "--quiet", "--tag", image, str(SERVERS / product))
        folder = parent / f"foreign-{uuid.uuid4().hex[:8]}"
        shutil.copytree(files, folder)
        return cls(folder, programs)

    @property
    def project(self) -> str:
        return self.folder.name

    def run(
        self, program: str, *words: str, code: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run what the wheel installed, in the folder, and require its exit code."""
        done = subprocess.run(
            [self.programs / program, *words],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        said = f"{program} {words}\n{done.stdout}\n{done.stderr}"
        assert done.returncode == code, said
        return done

    def task(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        return self.run("compose-ops", *words, code=code)

    def json(self, program: str, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(program, *words, "--json", code=code).stdout)

    def compose(self, *words: str) -> str:
        """Run plain Compose in the folder, as before anybody installed anything."""
        return subprocess.run(
            ["docker", "compose", "--progress", "quiet", *words],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def start(self) -> None:
        """Start all of it in production's way, with pgbench's tables in the ledger."""
        self.compose(*PRODUCTION, "up", "--detach", "--build", "--wait")
        words = ("--initialize", "--scale=1", "--quiet", "postgres")
        self.compose("exec", "-T", "ledger", "pgbench", "--username=postgres", *words)

    def remove(self) -> None:
        words = ("--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "1")
        self.compose(*PRODUCTION, "down", *words)
        kept = f"reference=localhost/{self.project}-*"
        tags = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "-f", kept)
        if tags.split():
            docker("image", "rm", *tags.split(), check=False)

    def configure(self, *tables: str) -> None:
        """Write compose-ops.toml."""
        file = self.folder / "compose-ops.toml"
        file.write_text("\n".join([*tables, HELPER]))

    def containers(self) -> dict[str, str]:
        """Return what runs: id and time of start."""
        ids = docker("ps", "-q", "--filter", f"label={LABEL}={self.project}").split()
        return {c["Id"]: c["State"]["StartedAt"] for c in inspected("container", ids)}

    def files(self) -> set[str]:
        found = self.folder.rglob("*")
        return {str(path.relative_to(self.folder)) for path in found}

    def port(self) -> int:
        return int(self.compose("port", "front", "8000").rpartition(":")[2])

    def sql(self, text: str) -> str:
        """Return what a statement prints, a line for each row."""
        words = ("psql", "--username=postgres", "--tuples-only", "--no-align", "-qc")
        return self.compose("exec", "-T", "ledger", *words, text).strip()

    def redis(self, *words: str) -> str:
        return self.compose("exec", "-T", "cache", "redis-cli", *words).strip()

    def mariadb(self, text: str) -> str:
        """Return what a statement prints, a line for each row."""
        words = ("mariadb", "--user=root", "--batch", "--skip-column-names", "-e")
        return self.compose("exec", "-T", "records", *words, text).strip()

    @contextmanager
    def transactions(self) -> Iterator[None]:
        """Let pgbench write for as long as the block lasts, and require that it did."""
        words = ("pgbench", "--username=postgres", "--no-vacuum", "--time=600")
        before = int(self.sql("SELECT count(*) FROM pgbench_history"))
        load = subprocess.Popen(
            ["docker", "compose", "exec", "-T", "ledger", *words, "postgres"],
            cwd=self.folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield
            assert load.poll() is None
            assert int(self.sql("SELECT count(*) FROM pgbench_history")) > before
        finally:
            self.sql(END_OF_LOAD)
            load.wait()

    def differences(self) -> list[str]:
        """Return the sums of pgbench's four tables where one is not as the others."""
        sums = self.sql(SUMS).split()
        return [] if len(sums) == 4 and len(set(sums)) == 1 else sums

    def corruption(self) -> str:
        """Return what pg_amcheck says of every table and index; nothing when clean."""
        words = ("pg_amcheck", "--username=postgres", "--all", "--install-missing")
        return self.compose("exec", "-T", "ledger", *words).strip()


def environment() -> dict[str, str]:
    """Return a shell's variables without any that would lead back to the checkout."""
    foreign = ("COMPOSE_", "PYTHON", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)}


def install(folder: Path) -> Path:
    """Install the wheel alone in an empty environment; return its programs."""

    def run(*words: str | Path) -> None:
        subprocess.run(words, check=True, env=environment())

    uv = (sys.executable, "-m", "uv")
    source, venv = folder / "source", folder / "venv"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        wanted = name.startswith("compose_ops/") or "/" not in name
        if wanted and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    run(*uv, "build", "--quiet", "--wheel", "--out-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    run(*uv, "venv", "--quiet", venv)
    run(*uv, "pip", "install", "--quiet", "--python", venv / "bin/python", wheel)
    shutil.rmtree(source)
    return venv / "bin"
