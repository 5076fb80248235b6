"""The wheel in an empty environment, beside a project that knows nothing of it."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import count
from pathlib import Path

import pytest
from foreign_site import MARIADB, MARIADB_FILES, Foreign, environment, install
from open_load import Load
from repository import ROOT

from compose_ops import Stack
from compose_ops.backup.session import Session
from compose_ops.errors import DataError

pytestmark = pytest.mark.docker

BLOCK = re.compile(r"^```(sh|toml|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
GUIDE = BLOCK.findall((ROOT / "docs/library.md").read_text())
TABLES = [text for kind, text in GUIDE if kind == "toml"]
TASKS = next(text for kind, text in GUIDE if "tasks.collection" in text)
ACKNOWLEDGED = 500
RATE = 30.0
# What a plain project has not thought of; nothing that stops it from working.
WARNINGS = {
    "default-route-by-name",
    "new-privileges",
    "root-user",
    "store-without-grace",
}
versions = count(1)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def absent(tmp_path: Path, programs: Path) -> Foreign:
    """Return the project, never started."""
    return Foreign.copied(tmp_path, programs)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, programs: Path) -> Iterator[Foreign]:
    """Return the project as plain Compose started it."""
    found = Foreign.copied(tmp_path_factory.mktemp("site"), programs)
    try:
        found.start()
        yield found
    finally:
        found.remove()


def test_program_needs_nothing_but_its_wheel(absent: Foreign) -> None:
    """The tasks are there without a tasks.py, and the extras are not."""
    assert "rolling-update" in absent.task("--list").stdout
    assert absent.task("--version").stdout.startswith("compose-ops 0.2.0")
    done = subprocess.run(
        [absent.programs / "python", "-c", "import pyrage"],
        capture_output=True,
        env=environment(),
        check=False,
    )
    assert done.returncode != 0


def test_lint_and_status_write_nothing(absent: Foreign) -> None:
    """Nor does doctor, on a project that was never started."""
    before = absent.files()

    assert rules(absent, "compose-ops") == WARNINGS
    services = absent.json("compose-ops", "status")["services"]
    assert {s["state"] for s in services} == {"absent"}
    absent.task("doctor")

    assert absent.files() == before


@pytest.mark.parametrize("program", ["compose-ops", "invoke"])
def test_messages_name_the_program_that_runs(absent: Foreign, program: str) -> None:
    """Nobody is told to type what is not there."""
    (absent.folder / "tasks.py").write_text(TASKS)
    (other,) = {"compose-ops", "invoke"} - {program}

    done = absent.run(program, "restart", code=2)

    assert f"{program} up" in done.stderr
    assert f"{other} " not in done.stderr


@pytest.mark.slow
def test_guide_holds_line_by_line(site: Foreign) -> None:
    """From a project that Compose started to a backup, a drill and a rolling update."""
    (site.folder / "compose-ops.toml").unlink(missing_ok=True)
    tables: list[str] = []
    ran: list[str] = []
    for kind, text in GUIDE:
        if kind == "toml":
            tables.append(text)
            site.configure(*tables)
        for line in text.splitlines() if kind == "sh" else ():
            program, *words = shlex.split(line, comments=True)
            ran.append(words[0])
            if program == "pip":
                assert words == ["install", "compose-ops"]
                continue
            with AROUND.get(words[0], nothing_around)(site, words):
                site.run(program, *words)

    assert ran[0] == "install"
    assert set(AROUND) < set(ran)


@pytest.mark.slow
def test_three_lines_of_tasks_do_the_same(site: Foreign, tmp_path: Path) -> None:
    """As tasks of invoke; a set goes to the emptied project, and to a new one."""
    (site.folder / "tasks.py").write_text(TASKS)
    site.configure(*TABLES)
    before = site.containers()

    services = site.json("invoke", "status")["services"]
    assert {s["state"] for s in services} == {"running"}
    site.run("invoke", "up")
    assert site.containers() == before
    report = site.json("invoke", "doctor")
    assert [c for c in report["checks"] if c["outcome"] in {"fail", "crashed"}] == []
    assert rules(site, "invoke") == WARNINGS

    with acknowledged(site, []):
        taken = site.json("invoke", "backup", "--all")
    stores = {s["service"]: s for s in taken["stores"]}
    assert {s["product"] for s in stores.values()} == {"PostgreSQL", "Redis"}
    assert {s["consistency"] for s in stores.values()} == {"native"}
    assert [a["kind"] for s in stores.values() for a in s["archives"]] == [
        "bind",
        "volume",
    ]
    site.run("invoke", "verify")

    site.run("invoke", "down", "--volumes", "--yes")
    assert site.containers() == {}
    shutil.rmtree(site.folder / "cache")
    site.run("invoke", "restore", "--all", "--prod", "--yes")
    site.run("invoke", "up", "--prod")
    assert_all_is_there(site)

    new = Foreign.copied(tmp_path, site.programs)
    (new.folder / "tasks.py").write_text(TASKS)
    new.configure(*TABLES)
    theirs = ("--from-project", site.project, "--dest", str(site.folder / "backups"))
    try:
        new.run("invoke", "restore", "--all", "--yes", *theirs)
        new.compose("up", "--detach", "--wait", "ledger", "cache")
        assert_all_is_there(new)
    finally:
        new.remove()


@pytest.mark.slow
def test_tablespace_outside_of_the_data_is_refused(site: Foreign) -> None:
    """A copy would hold a link to it, and nothing of what it holds."""
    site.configure(*TABLES)
    site.compose("exec", "-T", "-u", "postgres", "ledger", "mkdir", "/tmp/elsewhere")
    site.sql("CREATE TABLESPACE elsewhere LOCATION '/tmp/elsewhere'")
    before = site.json("compose-ops", "backups")["sets"]

    done = site.task("backup", "--service", "ledger", code=7)

    assert "pg_tblspc/" in done.stderr
    assert site.json("compose-ops", "backups")["sets"] == before
    site.sql("DROP TABLESPACE elsewhere")


@pytest.mark.slow
def test_session_that_is_lost_discards_the_copy(
    site: Foreign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends it: what was copied until then may be torn."""
    site.configure(*TABLES)
    ends = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots"
    stop = Session.stop

    def lost(held: Session) -> object:
        site.sql(ends)
        return stop(held)

    monkeypatch.setattr(Session, "stop", lost)
    stack = Stack.open(site.folder)
    before = stack.backups()

    with pytest.raises(DataError, match="the session that holds ledger"):
        stack.backup(["ledger"])

    assert stack.backups() == before
    assert site.sql("SELECT count(*) FROM pg_replication_slots") == "0"


@pytest.mark.slow
def test_mariadb_is_stopped_for_a_set_that_a_drill_proves(
    tmp_path: Path, programs: Path
) -> None:
    """Known by its image alone; what the set holds comes back, and nothing else."""
    site = Foreign.copied(tmp_path, programs, files=MARIADB_FILES, products=MARIADB)
    try:
        site.configure()
        site.compose("up", "--detach", "--wait")
        site.mariadb("CREATE DATABASE shop; CREATE TABLE shop.sold (n INT PRIMARY KEY)")
        site.mariadb("INSERT INTO shop.sold VALUES (1), (2), (3)")

        made = site.json("compose-ops", "backup", "--all")
        site.mariadb("DROP TABLE shop.sold; CREATE DATABASE later")
        site.task("restore", "--service", "records", "--yes")
        site.task("drill")

        assert [s["consistency"] for s in made["stores"]] == ["stop"]
        assert site.mariadb("SELECT SUM(n) FROM shop.sold") == "6"
        assert "later" not in site.mariadb("SHOW DATABASES")
    finally:
        site.compose("down", "--volumes", "--timeout", "9")


def rules(project: Foreign, program: str) -> set[str]:
    found = project.json(program, "lint")["findings"]
    return {finding["rule"] for finding in found}


@contextmanager
def unchanged(site: Foreign, _words: list[str]) -> Iterator[None]:
    """Require that what runs is the same afterwards, never stopped."""
    before = site.containers()
    yield
    assert site.containers() == before


@contextmanager
def acknowledged(site: Foreign, _words: list[str]) -> Iterator[None]:
    """Have rows acknowledged before the block, and others written all through it."""
    site.sql("DROP TABLE IF EXISTS acknowledged, later")
    with site.transactions():
        site.sql("CREATE TABLE acknowledged (n int)")
        site.sql(f"INSERT INTO acknowledged SELECT generate_series(1, {ACKNOWLEDGED})")
        site.redis("flushall")
        site.redis("mset", "one", "1", "two", "2")
        yield
    assert site.sql("SELECT count(*) FROM pg_replication_slots") == "0"


@contextmanager
def changed(site: Foreign, words: list[str]) -> Iterator[None]:
    """Lose what was acknowledged, and require that it is back; or not, for an undo."""
    if "--undo" in words:
        yield
        assert site.sql("SELECT to_regclass('later') || '' ") == "later"
        assert site.redis("get", "three") == "3"
    else:
        site.sql("CREATE TABLE later (n int); DROP TABLE acknowledged")
        site.redis("mset", "one", "changed", "three", "3")
        yield
        assert_all_is_there(site)


@contextmanager
def asked(site: Foreign, words: list[str]) -> Iterator[None]:
    """Send requests all through the block; none may fail, and both versions answer."""
    if words[0] == "rolling-update":
        page = f'{{"version": "{next(versions)}"}}'
        (site.folder / "web/index.json").write_text(page)
    with Load("127.0.0.1", site.port(), rate=RATE) as load:
        load.wait_until(int(RATE))
        yield
        load.wait_until(load.sent + int(RATE))
    assert load.failures == []
    assert len(load.versions) == 2


def nothing_around(_site: Foreign, _words: list[str]) -> AbstractContextManager[None]:
    return nullcontext()


AROUND: dict[str, Callable[[Foreign, list[str]], AbstractContextManager[None]]] = {
    "up": unchanged,
    "backup": acknowledged,
    "restore": changed,
    "rolling-update": asked,
    "rollback": asked,
}


def assert_all_is_there(site: Foreign) -> None:
    """Assert what was acknowledged before the backup, whole and consistent."""
    assert site.sql("SELECT count(*) FROM acknowledged") == str(ACKNOWLEDGED)
    assert site.differences() == []
    assert site.corruption() == ""
    assert sorted(site.redis("keys", "*").split()) == ["one", "two"]
