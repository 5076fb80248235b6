"""Backups are proven and restores lose nothing, on the real engine."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e_scenario import Scenario, docker

pytestmark = pytest.mark.docker

# A store of a few lines, declared by labels alone.
NOTES = """
services:
  notes:
    image: localhost/jimbot-base:bookworm
    stop_grace_period: 10s
    restart: unless-stopped
    network_mode: none
    command:
      - sh
      - -c
      - >-
        trap 'echo stopped >>/data/end; exit 0' TERM;
        touch /data/ready; while :; do sleep 1 & wait $$!; done
    volumes: [notes_data:/data]
    healthcheck:
      test: [CMD, test, -f, /data/ready]
      interval: 1s
    labels:
      jimbot.stack.data.volumes: notes_data
      jimbot.stack.backup.consistency: stop crash
      jimbot.stack.backup.count: wc -l </data/notes || echo 0
  reader:
    image: localhost/jimbot-base:bookworm
    network_mode: none
    init: true
    command: [sleep, infinity]
    depends_on:
      notes:
        condition: service_healthy
volumes:
  notes_data:
"""

KINDS = """
import os
os.makedirs('/data/kinds/deep', exist_ok=True)
open('/data/kinds/deep/file', 'w').write('content')
os.chown('/data/kinds/deep/file', 1234, 4321)
os.chmod('/data/kinds/deep/file', 0o4750)
os.setxattr('/data/kinds/deep/file', 'user.note', b'kept')
cap = bytes.fromhex('0100000202000000000000000000000000000000')
open('/data/kinds/able', 'w').close()
os.setxattr('/data/kinds/able', 'security.capability', cap)
os.symlink('deep/file', '/data/kinds/link')
os.link('/data/kinds/deep/file', '/data/kinds/twin')
os.mkfifo('/data/kinds/fifo')
open(os.fsencode('/data/kinds/') + b'odd\\xff\\nname', 'w').write('odd')
with open('/data/kinds/sparse', 'wb') as f:
    f.truncate(1 << 22)
os.utime('/data/kinds/able', ns=(1, 1500000000123456789))
"""

LOOK = """
import os
for folder, names, files in sorted(os.walk(b'/data/kinds')):
    for name in sorted(names + files):
        path = os.path.join(folder, name)
        s = os.lstat(path)
        kept = [(n, os.getxattr(path, n, follow_symlinks=False).hex())
                for n in os.listxattr(path, follow_symlinks=False)]
        text = open(path, 'rb').read().hex() if os.path.isfile(path) else ''
        times = 0 if os.path.islink(path) else s.st_mtime_ns
        print(path, oct(s.st_mode), s.st_uid, s.st_gid, s.st_nlink, times, kept,
              text[:40], len(text))
"""


@pytest.fixture
def notes(scenario: Scenario) -> Scenario:
    """Return a scenario whose only running services are the notes and their reader."""
    (scenario.root / "docker/overlays/notes.yml").write_text(NOTES)
    scenario.invoke("up", "--offline", "--overlay", "notes", "--service", "reader")
    return scenario


def write(scenario: Scenario, lines: int) -> None:
    words = f"seq {lines} >>/data/notes; sync"
    scenario.execute("notes", "sh", "-c", words)


def count(scenario: Scenario) -> int:
    return int(scenario.execute("notes", "sh", "-c", "wc -l </data/notes"))


def strays(scenario: Scenario) -> str:
    label = f"label=jimbot.stack.helper={scenario.project}"
    return docker("ps", "-aq", "--filter", label)


def test_fourth_store_needs_labels_only(notes: Scenario) -> None:
    """Every kind of file comes back, also into a project that lost its volume."""
    write(notes, 5)
    notes.execute("notes", "python3", "-c", KINDS)
    before = notes.execute("notes", "python3", "-c", LOOK)

    made = notes.json("backup", "--service", "notes")

    assert made["stores"][0]["consistency"] == "stop"
    assert made["stores"][0]["count"] == [5, 5]
    assert "healthy" in notes.container("notes")["State"]["Health"]["Status"]
    assert notes.container("reader")["State"]["Running"]
    notes.invoke("down", "--volumes", "--yes")
    notes.invoke(
        *("restore", "--service", "notes", "--yes"), "--offline", "--overlay", "notes"
    )
    notes.invoke("up", "--offline", "--overlay", "notes", "--service", "reader")
    assert count(notes) == 5
    assert before == notes.execute("notes", "python3", "-c", LOOK)
    label = docker(
        *("volume", "inspect", "--format", "{{json .Labels}}"),
        f"{notes.project}_notes_data",
    )
    assert '"com.docker.compose.volume":"notes_data"' in label


def test_restore_can_be_undone_and_discarded(notes: Scenario) -> None:
    write(notes, 3)
    notes.invoke("backup", "--service", "notes")
    write(notes, 4)

    notes.invoke("restore", "--service", "notes", "--yes")
    assert count(notes) == 3
    assert notes.json("status")["previous"][0]["services"] == ["notes"]
    notes.invoke("restore", "--undo", "--yes")
    assert count(notes) == 7
    notes.invoke("restore", "--discard", "--yes")

    assert notes.json("status")["previous"] == []
    assert ".jimbot-restore" not in notes.execute("notes", "ls", "-a", "/data")


Spoil = Callable[[Scenario, Path], tuple[str, ...]]


def _truncate(_: Scenario, made: Path) -> tuple[str, ...]:
    file = made / "notes_data.tar.zst"
    file.write_bytes(file.read_bytes()[:-9])
    return ()


def _flip(_: Scenario, made: Path) -> tuple[str, ...]:
    file = made / "notes_data.tar.zst"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    return ()


def _swap_for_link(_: Scenario, made: Path) -> tuple[str, ...]:
    file = made / "notes_data.tar.zst"
    file.rename(made / "elsewhere")
    file.symlink_to("elsewhere")
    return ()


def _forge(_: Scenario, made: Path) -> tuple[str, ...]:
    file = made / "manifest.json"
    file.write_text(file.read_text().replace('"files": ', '"files": 9'))
    return ()


def _missing(_: Scenario, __: Path) -> tuple[str, ...]:
    return ("--set", "20200101T000000Z-0001")


def _other_project(_: Scenario, __: Path) -> tuple[str, ...]:
    return ("--from-project", "somebody")


def _move_from_other(_: Scenario, made: Path) -> tuple[str, ...]:
    other = made.parent.with_name("somebody")
    made.parent.rename(other)
    return ("--from-project", "somebody", "--set", made.name)


@pytest.mark.parametrize(
    "spoil",
    [
        *(_truncate, _flip, _swap_for_link, _forge),
        *(_missing, _other_project, _move_from_other),
    ],
)
def test_bad_set_is_refused_before_anything_is_touched(
    notes: Scenario, spoil: Spoil
) -> None:
    """One line what is wrong, exit code 7; the store was never stopped."""
    write(notes, 3)
    made = Path(notes.json("backup", "--service", "notes")["path"])
    began = notes.container("notes")["State"]["StartedAt"]

    words = spoil(notes, made)
    done = notes.invoke("restore", "--service", "notes", "--yes", *words, code=7)

    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    assert notes.container("notes")["State"]["StartedAt"] == began
    assert count(notes) == 3


def test_bad_destinations_leave_everything_running(
    notes: Scenario, tmp_path: Path
) -> None:
    """A full destination and one that cannot be written: one line, nothing stopped."""
    write(notes, 3)
    notes.execute("notes", "dd", "if=/dev/urandom", "of=/data/big", "bs=1M", "count=8")
    began = notes.container("notes")["State"]["StartedAt"]
    small, closed = tmp_path / "small", tmp_path / "closed"
    small.mkdir()
    closed.write_text("a file, no folder")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "t", small], check=True)
    try:
        notes.invoke("backup", "--service", "notes", "--dest", str(small), code=7)
        assert not list(small.rglob("*.zst"))
    finally:
        subprocess.run(["umount", small], check=True)
    notes.invoke("backup", "--service", "notes", "--dest", str(closed), code=7)

    assert notes.container("notes")["State"]["StartedAt"] == began
    assert strays(notes) == ""


def points(scenario: Scenario, *words: str) -> list[str]:
    """Run a task to its end and return the step boundaries that it passed."""
    file = scenario.root / "boundaries"
    file.unlink(missing_ok=True)
    done = _dying(scenario, file, 0, *words)
    assert done.returncode == 0, done.stderr
    return file.read_text().splitlines()


def _dying(
    scenario: Scenario, file: Path, number: int, *words: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(Path(__file__).with_name("dying_task.py")), *words],
        cwd=scenario.root,
        env=scenario.environment({"BOUNDARIES": str(file), "DIE_AT": str(number)}),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )


def _each_death(scenario: Scenario, *words: str) -> Iterator[str]:
    """Let the task die at each boundary in turn; yield once it was put right."""
    steps = points(scenario, *words)
    for number, step in enumerate(steps, start=1):
        file = scenario.root / "boundaries"
        file.unlink()
        assert _dying(scenario, file, number, *words).returncode == -9
        scenario.invoke("prune", "--keep-last", "999", "--yes")
        yield f"{words[0]}, {step}"


def _is_as_before(scenario: Scenario, step: str) -> None:
    state: dict[str, Any] = scenario.container("notes")["State"]
    assert state["Health"]["Status"] == "healthy", step
    assert scenario.container("reader")["State"]["Running"], step
    assert strays(scenario) == "", step
    assert not list((scenario.root / "backups").rglob(".partial-*")), step
    assert not list((scenario.root / ".state").rglob("journal/*.json")), step


def test_backup_that_dies_anywhere_is_put_right(notes: Scenario) -> None:
    """SIGKILL at every step: the services run again, no partial set is a set."""
    write(notes, 3)
    for step in _each_death(notes, "backup", "--service", "notes"):
        _is_as_before(notes, step)
        assert count(notes) == 3, step
    notes.invoke("verify")


def test_restore_that_dies_anywhere_ends_old_or_new(notes: Scenario) -> None:
    """SIGKILL at every step: the data is the old or the new, whole."""
    write(notes, 3)
    notes.invoke("backup", "--service", "notes")
    write(notes, 4)
    for step in _each_death(notes, "restore", "--service", "notes", "--yes"):
        _is_as_before(notes, step)
        found = count(notes)
        assert found in {3, 7}, step
        if found == 3:
            write(notes, 4)


@pytest.fixture
def stores(scenario: Scenario) -> Scenario:
    """Return a scenario in which the three stores run on stand-ins."""
    named = ("memgraph", "questdb", "eventstore")
    flags = [word for name in named for word in ("--service", name)]
    scenario.invoke("up", "--offline", *flags)
    return scenario


def cypher(scenario: Scenario, query: str) -> str:
    words = f"echo '{query}' | mgconsole --output-format=csv"
    return scenario.execute("memgraph", "sh", "-c", words)


def test_what_was_acknowledged_before_the_backup_is_there_after_the_restore(
    stores: Scenario,
) -> None:
    """Under a writer that never stops; all three stores as one set."""
    acknowledged, stop = [0], threading.Event()

    def write_on() -> None:
        while not stop.is_set():
            try:
                cypher(stores, "CREATE (n:Entry {n: 1});")
            except AssertionError:
                continue
            acknowledged[0] += 1

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        before = acknowledged[0]
        made = stores.json("backup", "--all")
    finally:
        stop.set()
        writer.join()
    assert set(stores.json("drill")["counts"]) == {"memgraph", "questdb", "eventstore"}
    assert not docker("volume", "ls", "-q", "--filter", f"name={stores.project}-drill")
    assert stores.json("backups")["sets"][0]["drilled"]
    levels = {s["service"]: s["consistency"] for s in made["stores"]}
    assert levels == {"memgraph": "native", "questdb": "stop", "eventstore": "native"}

    stores.invoke("restore", "--all", "--yes")

    answer = cypher(stores, "MATCH (n) RETURN count(n);").split()
    assert int(answer[-1].strip('"')) >= before
