"""Backups are proven and restores lose nothing, on the real engine."""

import threading
from collections.abc import Iterator

import pytest
from e2e_scenario import Scenario, created, docker
from notes_site import count, held, started, write

pytestmark = pytest.mark.docker

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


def test_fourth_store_needs_labels_only(scenario: Scenario) -> None:
    """Every kind of file comes back, also into a project that lost its volume."""
    notes = started(scenario)
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


WATCHER = """
services:
  watcher:
    image: localhost/jimbot-base:bookworm
    network_mode: none
    init: true
    command: [sleep, infinity]
    depends_on:
      memgraph:
        condition: service_healthy
"""


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return a scenario in which the three stores run on stand-ins, one watched."""
    scenario = created(tmp_path_factory.mktemp("checkout"))
    (scenario.root / "docker/overlays/watcher.yml").write_text(WATCHER)
    named = ("watcher", "questdb", "eventstore")
    flags = [word for name in named for word in ("--service", name)]
    try:
        scenario.invoke("up", "--offline", "--overlay", "watcher", *flags)
        yield scenario
    finally:
        scenario.remove()


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


def test_set_of_running_stores_pauses_what_depends_on_them(stores: Scenario) -> None:
    """No store stops, nobody writes to any, and afterwards all goes on."""
    began = stores.container("memgraph")["State"]["StartedAt"]
    words = ("backup", "--all", "--consistency", "crash")

    with held(stores, "after copying", *words) as task:
        assert stores.container("watcher")["State"]["Paused"]
        assert stores.container("memgraph")["State"]["StartedAt"] == began
    assert task.returncode == 0

    watcher = stores.container("watcher")["State"]
    assert watcher["Running"]
    assert not watcher["Paused"]
    newest = stores.json("backups")["sets"][0]
    assert newest["coherent"]
    assert set(newest["stores"].values()) == {"crash"}
