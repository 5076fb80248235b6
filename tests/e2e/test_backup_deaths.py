"""
A task that dies at any step leaves nothing that the next one does not put right.

With BACKUP_DEATHS=all it dies at every boundary, otherwise at those that differ most.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from e2e_scenario import Scenario, created, docker, service_of
from notes_site import dying, strays

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# One store of one volume, one of two that can also be copied while it runs.
SITE = """
x-store: &store
  image: localhost/jimbot-base:bookworm
  stop_grace_period: 10s
  restart: always
  network_mode: none
  tmpfs: [/run]
  command:
    - sh
    - -c
    - trap 'exit 0' TERM; touch /data/ready; while :; do sleep 1 & wait $$!; done
  healthcheck:
    test: [CMD, test, -f, /data/ready]
    interval: 1s
    start_period: 2s
    start_interval: 200ms
services:
  notes:
    <<: *store
    volumes: [notes_data:/data]
    labels:
      compose-ops.data.volumes: notes_data
      compose-ops.backup.count: wc -l </data/lines
  cards:
    <<: *store
    volumes: [cards_data:/data, cards_more:/more]
    labels:
      compose-ops.data.volumes: cards_data cards_more
      compose-ops.backup.consistency: native stop crash
      compose-ops.backup.native.prepare: touch /run/locked
      compose-ops.backup.native.release: rm -f /run/locked
      compose-ops.backup.count: cat /data/lines /more/lines | wc -l
  reader:
    image: localhost/jimbot-base:bookworm
    network_mode: none
    init: true
    command: [sleep, infinity]
    depends_on:
      notes:
        condition: service_healthy
      cards:
        condition: service_healthy
volumes:
  notes_data:
  cards_data:
  cards_more:
"""
NOTHING = "services: {}\n"
KEPT, LIVE = 3, 7
WORDS = {
    "native": ("backup", "--service", "cards"),
    "stop": ("backup", "--service", "cards", "--consistency", "stop"),
    "crash": ("backup", "--all", "--consistency", "crash"),
    "one": ("restore", "--service", "notes", "--yes"),
    "two": ("restore", "--service", "cards", "--yes"),
    "undo": ("restore", "--undo", "--yes"),
}
# tests/unit/backup/test_dying.py kills every task at every boundary, in memory; here
# are those where the engine itself holds what must be put right, and of what moves data
# one on either side of the point from which it goes forward.
CHOSEN = {
    "native": ("before stores started",),
    "stop": ("after stopping stores",),
    "crash": ("before resumed",),
    "one": ("before swapping", "after committed"),
    "two": ("after swapping cards_data", "after committing cards_data"),
    "undo": ("after swapping cards_data", "after committing cards_data"),
}
EVERY = os.environ.get("BACKUP_DEATHS") == "all"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """Return two running stores and what depends on them; nothing else is declared."""
    scenario = created(tmp_path_factory.mktemp("checkout"))
    (scenario.root / "docker-compose.yml").write_text(SITE)
    for name in ("docker-compose.dev.yml", "docker/overlays/offline.yml"):
        (scenario.root / name).write_text(NOTHING)
    try:
        scenario.invoke("up", "--dev", "--offline")
        yield scenario
    finally:
        scenario.remove()


def run_in(site: Scenario, service: str, script: str) -> str:
    return docker("exec", f"{site.project}-{service}-1", "sh", "-c", script)


def write(site: Scenario, lines: int) -> None:
    """Let both stores hold so many lines, the one with two volumes in each of them."""
    run_in(site, "notes", f"seq {lines} >/data/lines; sync")
    run_in(site, "cards", f"seq {lines} | tee /data/lines >/more/lines; sync")


def lines(site: Scenario, service: str) -> int:
    """Return how many lines a store holds, the same in each of its volumes."""
    files = {"notes": "/data/lines", "cards": "/data/lines /more/lines"}[service]
    (found,) = set(
        run_in(site, service, f"for f in {files}; do wc -l <$f; done").split()
    )
    return int(found)


def boundaries(site: Scenario, kind: str) -> list[str]:
    """Run a task to its end and return the step boundaries that it passed."""
    file = site.root / "boundaries"
    file.unlink(missing_ok=True)
    done = dying(site, 0, *WORDS[kind])
    assert done.returncode == 0, done.stderr
    return file.read_text().splitlines()


def deaths(site: Scenario, kind: str, live: int = 0) -> Iterator[str]:
    """
    Let the task die at each boundary in turn; yield once it was put right.

    Before each death the stores hold *live* lines, what they hold already for 0.
    """
    steps: Iterable[int | str]
    steps = [step.replace("cards_", f"{site.project}_cards_") for step in CHOSEN[kind]]
    if EVERY:
        steps = range(1, 1 + len(boundaries(site, kind)))
    for step in steps:
        (site.root / "boundaries").unlink(missing_ok=True)
        if live:
            write(site, live)
        assert dying(site, step, *WORDS[kind]).returncode == -9, step
        site.invoke("prune", "--keep-last", "999", "--yes")
        point = f"{kind}, {step}"
        assert_at_peace(site, point)
        print("put right:", point)  # noqa: T201 - how many there were
        yield point


def assert_at_peace(site: Scenario, point: str) -> None:
    """Assert that what ran runs, and nothing of a dead task is left."""
    found = {service_of(c): c["State"] for c in site.containers()}
    assert set(found) == {"notes", "cards", "reader"}, point
    for name, state in found.items():
        assert state["Running"], (point, name)
        assert not state["Paused"], (point, name)
        assert state.get("Health", {"Status": "healthy"})["Status"] == "healthy", point
    assert run_in(site, "cards", "ls /run") == "", point
    assert strays(site) == "", point
    assert not list(Path(site.root / "backups").rglob(".partial-*")), point
    assert not list(Path(site.root / ".compose-ops").rglob("journal/*.json")), point


@pytest.mark.parametrize("kind", ["native", "stop", "crash"])
def test_backup_that_dies_anywhere_is_put_right(site: Scenario, kind: str) -> None:
    """SIGKILL at every step: the services run again, no partial set is a set."""
    write(site, KEPT)
    for point in deaths(site, kind):
        assert lines(site, "notes") == lines(site, "cards") == KEPT, point
    site.invoke("verify")


@pytest.mark.parametrize(("kind", "service"), [("one", "notes"), ("two", "cards")])
def test_restore_that_dies_anywhere_ends_old_or_new(
    site: Scenario, kind: str, service: str
) -> None:
    """SIGKILL at every step: all volumes of the store hold the old or the new."""
    write(site, KEPT)
    site.invoke("backup", "--service", service)
    seen = set()
    for point in deaths(site, kind, LIVE):
        found = lines(site, service)
        assert found in {KEPT, LIVE}, point
        seen.add(found)
    assert seen == {KEPT, LIVE}
    site.invoke("restore", "--discard", "--yes")


def test_undo_that_dies_anywhere_ends_old_or_new(site: Scenario) -> None:
    """SIGKILL at every step: what it did not bring back can still be brought back."""
    write(site, KEPT)
    site.invoke("backup", "--service", "cards")
    write(site, LIVE)
    site.invoke(*WORDS["two"])
    for point in deaths(site, "undo"):
        assert lines(site, "cards") in {KEPT, LIVE}, point
        assert len(site.json("status")["previous"]) == 1, point
    found = lines(site, "cards")
    site.invoke(*WORDS["undo"])
    assert {found, lines(site, "cards")} == {KEPT, LIVE}
    site.invoke("restore", "--discard", "--yes")
