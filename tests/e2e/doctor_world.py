"""A stack that doctor looks at, faults that are made in it, and all of it put back."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e_scenario import Scenario, created

NOBODY = 54321
QUICK = """
services:
  app:
    healthcheck:
      interval: 1s
      retries: 4
      start_period: 20s
  questdb:
    healthcheck:
      interval: 2s
      retries: 8
  eventstore:
    healthcheck:
      interval: 2s
      retries: 8
"""
KEPT = (".env", "secrets", "config", "certs", "docker/overlays")


@dataclass
class World:
    """A checkout whose project runs, and how doctor is called in it."""

    scenario: Scenario
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.scenario.root

    def doctor(self, *words: str, shell: str = "") -> dict[str, dict[str, Any]]:
        """Return doctor's rows by id; *shell* is run before it in the same shell."""
        call = [sys.executable, "-m", "invoke", "doctor", "--json", *words]
        line = f'{shell}\nexec "$@"'
        done = self.run(["sh", "-c", line, "sh", *call])
        assert done.returncode in {0, 10, 11}, done.stderr + done.stdout
        return {row["id"]: row for row in json.loads(done.stdout)["checks"]}

    def mend(self, repair: str) -> None:
        """Run a repair exactly as it was printed."""
        done = self.run(["sh", "-c", repair])
        assert done.returncode == 0, f"{repair}\n{done.stdout}{done.stderr}"

    def run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout with `invoke` on PATH."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("COMPOSE_")}
        tools = str(Path(sys.executable).parent)
        return subprocess.run(
            argv,
            cwd=self.root,
            env=kept | {"PATH": f"{tools}:{kept['PATH']}"} | self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Put the files that faults touch back as they were."""
        copy = self.root.with_name(self.root.name + "-kept")
        for name in KEPT:
            if (self.root / name).exists():
                _copy(self.root / name, copy / name)
        try:
            yield
        finally:
            for name in KEPT:
                _remove(self.root / name)
                if (copy / name).exists():
                    _copy(copy / name, self.root / name)
            shutil.rmtree(copy)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


Make = Callable[[World], AbstractContextManager[str | None]]


@dataclass(frozen=True, slots=True)
class Fault:
    """
    A fault that is really made: the check that finds it, and words that name it.

    `words` are flags of doctor; `is_mended` says that the printed repair, run as it is
    printed, ends it. A context manager that makes it may yield shell lines to run
    before doctor.
    """

    name: str
    check: str
    says: str
    make: Make
    words: tuple[str, ...] = ()
    is_mended: bool = False


def fault(
    table: list[Fault], check: str, says: str, *words: str, mended: bool = False
) -> Callable[[Callable[[World], Iterator[str | None]]], Make]:
    """Add to *table* the generator below, which makes a fault and undoes it."""

    def register(body: Callable[[World], Iterator[str | None]]) -> Make:
        name = body.__name__.replace("_", " ")
        table.append(Fault(name, check, says, contextmanager(body), words, mended))
        return contextmanager(body)

    return register


@contextmanager
def started(*words: str, overlay: str = "") -> Iterator[World]:
    """Start a project in a folder that every user of the machine may enter."""
    root = Path(tempfile.mkdtemp(prefix="jimbot-doctor-"))
    root.chmod(0o755)
    scenario = created(root)
    try:
        if overlay:
            (root / "docker/overlays/quick.yml").write_text(overlay)
        if "--prod" in words:
            scenario.invoke("init", "--prod")
        scenario.invoke("up", "--offline", *words, timeout=590)
        yield World(scenario)
    except AssertionError:
        print(scenario.evidence())  # noqa: T201 - pytest shows it with the failure
        raise
    finally:
        scenario.remove()
        shutil.rmtree(root, ignore_errors=True)


def problems(rows: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"{row['id']}: {row['detail']}"
        for row in rows.values()
        if row["outcome"] in {"warn", "fail", "crashed"}
    ]


def as_nobody(world: World, group: int, *words: str) -> dict[str, dict[str, Any]]:
    """Return what a user who is not root is told, of a checkout of its own."""
    mine = [p for p in (world.root, *world.root.rglob("*")) if p.lstat().st_uid == 0]
    helper = str(Path(__file__).with_name("doctor_as.py"))
    call = [sys.executable, helper, str(NOBODY), str(group), "doctor", "--json"]
    try:
        for path in mine:
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        done = world.run([*call, *words])
        assert done.returncode in {0, 10, 11}, done.stderr + done.stdout
        return {row["id"]: row for row in json.loads(done.stdout)["checks"]}
    finally:
        for path in mine:
            if os.path.lexists(path):
                os.chown(path, 0, 0, follow_symlinks=False)


def docker_group() -> int:
    return Path("/var/run/docker.sock").stat().st_gid


def examine(world: World, fault: Fault) -> None:
    """Make a fault, find it, and mend it by its repair, which may leave no other."""
    only = ("--only", fault.check, *fault.words)
    with world.kept(), fault.make(world) as shell:
        row = world.doctor(*only, shell=shell or "")[fault.check]
        told = [one for one in row["findings"] if fault.says in one["detail"]]
        assert told, row
        assert row["outcome"] in {"warn", "fail"}
        assert all(one["repair"] for one in told)
        if fault.is_mended:
            for repair in dict.fromkeys(one["repair"] for one in row["findings"]):
                world.mend(f"{shell or ':'}\n{repair}")
            after = world.doctor(*only, shell=shell or "")[fault.check]
            there = {one["about"] for one in row["findings"] if one not in told}
            assert {one["about"] for one in after["findings"]} <= there, after
