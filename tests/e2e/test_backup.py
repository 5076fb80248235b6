"""Backups are proven and restores lose nothing, on the real engine."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from e2e_scenario import Scenario, created, docker
from notes_site import count, held, started, write

pytestmark = pytest.mark.docker

KINDS = """
import os, struct
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
acl = struct.pack('<I', 2) + b''.join(
    struct.pack('<HHI', *entry) for entry in (
        (0x01, 6, 0xffffffff), (0x02, 4, 1234), (0x04, 4, 0xffffffff),
        (0x08, 2, 4321), (0x10, 6, 0xffffffff), (0x20, 0, 0xffffffff)))
open('/data/kinds/shared', 'w').close()
os.setxattr('/data/kinds/shared', 'system.posix_acl_access', acl)
os.setxattr('/data/kinds/deep', 'system.posix_acl_default', acl)
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
    for kept in ("posix_acl_access", "posix_acl_default", "capability", "user.note"):
        assert kept in before

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


ASK = (
    "exec 3<>/dev/tcp/127.0.0.1/9000 && printf 'GET /exec?query={} HTTP/1.0\\r\\n"
    "Connection: close\\r\\n\\r\\n' >&3 && "
)
EVENTS = "curl -fs -m 5 http://localhost:2113"
PREPARE = {
    "questdb": ASK.format("CREATE%%20TABLE%%20IF%%20NOT%%20EXISTS%%20entry(n%%20INT)")
    + "grep -q OK <&3"
}
WRITE = {
    "memgraph": "echo 'CREATE (n:Entry {n: 1});' | mgconsole",
    "questdb": ASK.format("INSERT%%20INTO%%20entry%%20VALUES(1)") + "grep -q OK <&3",
    "eventstore": f"{EVENTS}/streams/entry -H ES-EventType:t"
    " -H Content-Type:application/json -d '{}'",
}
COUNT = {
    "memgraph": "echo 'MATCH (n) RETURN count(n);' | mgconsole --output-format=csv"
    " | tail -1 | tr -dc 0-9",
    "questdb": ASK.format("SELECT%%20count()%%20FROM%%20entry")
    + r"grep -o '\[\[[0-9]*' <&3 | tr -dc 0-9",
    "eventstore": f"{EVENTS}/stats | grep -o 'events.: [0-9]*' | tr -dc 0-9",
}


class Writer(threading.Thread):
    """Write to one store without end; `acknowledged` is how often it said yes."""

    def __init__(self, scenario: Scenario, service: str) -> None:
        super().__init__()
        self.service, self.container = service, f"{scenario.project}-{service}"
        self.acknowledged = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Write on, also when the store is away."""
        while not self.ended.is_set():
            self.acknowledged += self.inside(WRITE[self.service]).returncode == 0

    def inside(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "exec", self.container, "bash", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def count(self) -> int:
        return int(self.inside(COUNT[self.service]).stdout)

    def wait_for(self, writes: int) -> None:
        """Return once so many more were acknowledged."""
        target, end = self.acknowledged + writes, time.monotonic() + 60
        while self.acknowledged < target:
            assert time.monotonic() < end, f"{self.service} takes no writes"
            time.sleep(0.02)


@contextmanager
def writing(scenario: Scenario) -> Iterator[list[Writer]]:
    """Write to all three stores until the block ends."""
    writers = [Writer(scenario, service) for service in WRITE]
    for writer in writers:
        assert writer.inside(PREPARE.get(writer.service, "true")).returncode == 0
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.ended.set()
            writer.join()


def test_what_was_acknowledged_before_the_backup_is_there_after_the_restore(
    stores: Scenario,
) -> None:
    """Under writers that never stop; what was written after the backup is not."""
    with writing(stores) as writers:
        for writer in writers:
            writer.wait_for(5)
        before = {w.service: w.acknowledged for w in writers}
        made = stores.json("backup", "--all")
        after = {w.service: w.acknowledged for w in writers}
        for writer in writers:
            writer.wait_for(5)
    live = {w.service: w.count() for w in writers}
    assert set(stores.json("drill")["counts"]) == {"memgraph", "questdb", "eventstore"}
    assert not docker("volume", "ls", "-q", "--filter", f"name={stores.project}-drill")
    assert stores.json("backups")["sets"][0]["drilled"]
    levels = {s["service"]: s["consistency"] for s in made["stores"]}
    assert levels == {"memgraph": "native", "questdb": "stop", "eventstore": "native"}

    stores.invoke("restore", "--all", "--yes")

    for writer in writers:
        name = writer.service
        found = writer.count()
        # One more may have been kept, and not yet been acknowledged.
        assert before[name] <= found <= after[name] + 1, name
        assert found < live[name], name


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
