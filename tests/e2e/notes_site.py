"""A store of a few lines, declared by labels alone, and what tests do with it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from e2e_scenario import Scenario, created, docker

# It is ill with data that holds `sick`, unless it was cured, and cannot be copied while
# it runs when it is `busy`; a start forgets both, as it does the lock.
NOTES = """
services:
  notes:
    image: localhost/jimbot-base:bookworm
    stop_grace_period: 10s
    restart: always
    network_mode: none
    tmpfs: [/run]
    command:
      - sh
      - -c
      - >-
        trap 'echo stopped >>/data/end; exit 0' TERM;
        touch /data/ready; while :; do sleep 1 & wait $$!; done
    volumes: [notes_data:/data]
    healthcheck:
      test: test -f /data/ready && { test ! -e /data/sick || test -e /run/cured; }
      interval: 1s
      timeout: 2s
      retries: 2
      start_period: 2s
      start_interval: 200ms
    labels:
      compose-ops.data.volumes: notes_data
      compose-ops.backup.consistency: stop native crash
      compose-ops.backup.native.prepare: test ! -e /run/busy && touch /run/locked
      compose-ops.backup.native.release: rm -f /run/locked
      compose-ops.backup.count: wc -l </data/notes || echo 0
      compose-ops.backup.version: echo 2.1
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

# Its volume is a small folder of the test's; it never ends when it is asked to.
STUBBORN = """
services:
  stubborn:
    image: localhost/jimbot-base:bookworm
    stop_grace_period: 1s
    network_mode: none
    command: [sh, -c, "trap '' TERM; while :; do sleep 1; done"]
    volumes: [stubborn_data:/data]
    labels:
      compose-ops.data.volumes: stubborn_data
volumes:
  stubborn_data:
    driver_opts: {type: none, o: bind, device: "%s"}
"""


def started(scenario: Scenario, *mode: str) -> Scenario:
    """Start the notes and their reader, and nothing else."""
    (scenario.root / "docker/overlays/notes.yml").write_text(NOTES)
    flags = mode or ("--offline",)
    scenario.invoke("up", *flags, "--overlay", "notes", "--service", "reader")
    return scenario


@contextmanager
def running(folder: Path) -> Iterator[Scenario]:
    """Yield a project in which the notes and their reader run, until the block ends."""
    scenario = created(folder)
    try:
        yield started(scenario)
    finally:
        scenario.remove()


def write(scenario: Scenario, lines: int) -> None:
    words = f"seq {lines} >>/data/notes; sync"
    scenario.execute("notes", "sh", "-c", words)


def count(scenario: Scenario) -> int:
    return int(scenario.execute("notes", "sh", "-c", "wc -l </data/notes"))


def strays(scenario: Scenario) -> str:
    label = f"label=compose-ops.helper={scenario.project}"
    return docker("ps", "-aq", "--filter", label)


def dying(
    scenario: Scenario, step: int | str, *words: str
) -> subprocess.CompletedProcess[str]:
    """Run a task that dies at a boundary, by its number or name; at none for 0."""
    return subprocess.run(
        command(*words),
        cwd=scenario.root,
        env=scenario.environment(boundaries(scenario, str(step), "KILL")),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )


def command(*words: str) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("dying_task.py")), *words]


def boundaries(scenario: Scenario, due: str, by: str) -> dict[str, str]:
    file = scenario.root / "boundaries"
    return {"BOUNDARIES": str(file), "DIE_AT": due, "DIE_BY": by}


@contextmanager
def held(scenario: Scenario, step: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run a task up to *step* and hold it there; after the block it goes on."""
    (scenario.root / "boundaries").unlink(missing_ok=True)
    said = scenario.root / "said"
    with (
        said.open("w") as output,
        subprocess.Popen(
            command(*words),
            cwd=scenario.root,
            env=scenario.environment(boundaries(scenario, step, "STOP")),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            text=True,
        ) as task,
    ):
        try:
            assert _halts(task), said.read_text()
            yield task
        finally:
            if task.poll() is None:
                os.kill(task.pid, signal.SIGCONT)


def _halts(task: subprocess.Popen[str], seconds: float = 60) -> bool:
    """Wait until the task is held; False when it ended or went on instead."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and task.poll() is None:
        state = Path(f"/proc/{task.pid}/stat").read_text().rpartition(")")[2].split()
        if state[0] == "T":
            return True
        time.sleep(0.02)
    return False


def assert_whole(scenario: Scenario, step: str = "") -> None:
    """Assert that what ran runs, and that no task has left anything behind."""
    state: dict[str, Any] = scenario.container("notes")["State"]
    assert state["Health"]["Status"] == "healthy", step
    assert scenario.container("reader")["State"]["Running"], step
    assert strays(scenario) == "", step
    assert not list((scenario.root / "backups").rglob(".partial-*")), step
    assert not list((scenario.root / ".compose-ops").rglob("journal/*.json")), step
