"""A stack that doctor looks at, faults that are made in it, and all of it put back."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
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
ATTEMPTS = 3
LATE = "it took longer than"
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
        return self.rows(["sh", "-c", line, "sh", *call])

    def rows(self, argv: list[str]) -> dict[str, dict[str, Any]]:
        """Return doctor's rows by id; a machine too busy for a fact is asked again."""
        for _ in range(ATTEMPTS):
            done = self.run(argv)
            assert done.returncode in {0, 10, 11}, done.stderr + done.stdout
            rows = {row["id"]: row for row in json.loads(done.stdout)["checks"]}
            if not any(LATE in row["detail"] for row in rows.values()):
                break
        return rows

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
        copy = self._copies
        for name in KEPT:
            if (self.root / name).exists():
                self.keep(name)
        try:
            yield
        finally:
            for name in KEPT:
                _remove(self.root / name)
                if (copy / name).exists():
                    _copy(copy / name, self.root / name)
            shutil.rmtree(copy)

    def keep(self, name: str) -> None:
        """Let a file that is put back be from now on as it is."""
        _remove(self._copies / name)
        _copy(self.root / name, self._copies / name)

    @property
    def _copies(self) -> Path:
        return self.root.with_name(self.root.name + "-kept")


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

    The faults of one `group` are made together. They must touch different things, and
    none may be ended by the repair of another.
    """

    name: str
    check: str
    says: str
    make: Make
    words: tuple[str, ...] = ()
    is_mended: bool = False
    group: str = ""


def fault(
    table: list[Fault],
    check: str,
    says: str,
    *words: str,
    mended: bool = False,
    group: str = "",
) -> Callable[[Callable[[World], Iterator[str | None]]], Make]:
    """Add to *table* the generator below, which makes a fault and undoes it."""

    def register(body: Callable[[World], Iterator[str | None]]) -> Make:
        name = body.__name__.replace("_", " ")
        make = contextmanager(body)
        table.append(Fault(name, check, says, make, words, mended, group))
        return make

    return register


def grouped(faults: Iterable[Fault]) -> dict[str, list[Fault]]:
    """Return the faults that are made together, by their group's or one's own name."""
    groups: dict[str, list[Fault]] = {}
    for one in faults:
        groups.setdefault(one.group or one.name, []).append(one)
    return groups


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
        return world.rows([*call, *words])
    finally:
        for path in mine:
            if os.path.lexists(path):
                os.chown(path, 0, 0, follow_symlinks=False)


def docker_group() -> int:
    return Path("/var/run/docker.sock").stat().st_gid


Rows = dict[str, dict[str, Any]]


def examine(world: World, faults: Sequence[Fault]) -> None:
    """Make faults together, find each, and mend them, which may leave no other."""
    with world.kept(), ExitStack() as made:
        lines = [made.enter_context(fault.make(world)) for fault in faults]
        shell = "\n".join(filter(None, lines)) or ":"
        rows = world.doctor(*_asking(faults), shell=shell)
        missed = [fault.name for fault in faults if not _told(rows, fault)]
        assert not missed, f"not found: {missed}\n{_shown(rows, faults)}"
        for fault in faults:
            assert rows[fault.check]["outcome"] in {"warn", "fail"}, fault.name
            assert all(one["repair"] for one in _told(rows, fault)), fault.name
        if mended := [fault for fault in faults if fault.is_mended]:
            _mend(world, mended, rows, shell)


def _mend(world: World, faults: Sequence[Fault], rows: Rows, shell: str) -> None:
    """Run the repairs of the checks that found *faults*, and see that these end."""
    checks = {fault.check for fault in faults}
    findings = [
        one for name in rows if name in checks for one in rows[name]["findings"]
    ]
    for repair in dict.fromkeys(one["repair"] for one in findings):
        world.mend(f"{shell}\n{repair}")
    after = world.doctor(*_asking(faults), shell=shell)
    for check in checks:
        ended = [fault for fault in faults if fault.check == check]
        told = [one for fault in ended for one in _told(rows, fault)]
        there = {one["about"] for one in rows[check]["findings"] if one not in told}
        left = [one for one in after[check]["findings"] if one["about"] not in there]
        assert not left, f"not mended: {[fault.name for fault in ended]}\n{left}"


def _asking(faults: Iterable[Fault]) -> list[str]:
    """Return the flags with which doctor looks for *faults* alone."""
    checks = dict.fromkeys(f"--only={fault.check}" for fault in faults)
    return [*checks, *dict.fromkeys(word for fault in faults for word in fault.words)]


def _told(rows: Rows, fault: Fault) -> list[dict[str, Any]]:
    """Return the findings that name a fault."""
    return [one for one in rows[fault.check]["findings"] if fault.says in one["detail"]]


def _shown(rows: Rows, faults: Iterable[Fault]) -> str:
    return "\n".join(str(rows[name]) for name in {fault.check for fault in faults})
