"""Failed restores, other projects, sets that go: the data keeps a way back."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_scenario import Scenario, docker
from notes_site import NOTES, assert_whole, count, dying, held, running, strays
from notes_site import write as write_lines
from waiting import until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

RESTORE = ("restore", "--service", "notes", "--yes")
BACKUP = ("backup", "--service", "notes")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    with running(tmp_path_factory.mktemp("checkout")) as site:
        yield site


@pytest.fixture
def notes(site: Scenario) -> Iterator[Scenario]:
    """Return the running notes with three lines and no set."""
    shutil.rmtree(site.root / "backups", ignore_errors=True)
    for known in site.root.glob(".compose-ops/*/*/destinations.json"):
        known.unlink()
    site.execute("notes", "sh", "-c", "rm -f /data/notes /data/sick")
    write_lines(site, 3)
    yield site
    (site.root / "docker/overlays/notes.yml").write_text(NOTES)


def relabel(scenario: Scenario, old: str, new: str) -> None:
    """Change what the notes declare of themselves."""
    overlay = scenario.root / "docker/overlays/notes.yml"
    text = overlay.read_text()
    assert old in text
    overlay.write_text(text.replace(old, new))


def in_the_volume(scenario: Scenario) -> str:
    return scenario.execute("notes", "ls", "-A", "/data")


def test_store_that_is_ill_or_counts_wrongly_gets_its_data_back(
    notes: Scenario,
) -> None:
    """The restore ends with the reason and the previous data, as if it never ran."""
    notes.execute("notes", "touch", "/run/cured", "/data/sick")
    ill = notes.json(*BACKUP, "--consistency", "crash")["id"]
    notes.execute("notes", "rm", "/data/sick")
    well = notes.json(*BACKUP)["id"]
    write_lines(notes, 4)
    relabel(notes, "wc -l </data/notes", "echo 1$$(wc -l </data/notes)")

    for set_id, code, reason in ((ill, 6, "unhealthy"), (well, 7, "counts 13")):
        said = notes.invoke(*RESTORE, "--set", set_id, code=code).stderr

        assert reason in said
        assert said.count("error:") == 1
        assert count(notes) == 7
        assert ".compose-ops-restore" not in in_the_volume(notes)
        assert "sick" not in in_the_volume(notes)
        assert notes.json("status")["previous"] == []
        assert_whole(notes, reason)


def test_set_is_restored_into_a_new_project(
    notes: Scenario, new_scenario: Callable[[], Scenario]
) -> None:
    """Its volume is the new project's own, and the set's project is untouched."""
    made = Path(notes.json(*BACKUP)["path"])
    dest = ("--dest", str(made.parent.parent), "--from-project", notes.project)
    other = new_scenario()
    overlay = ("--offline", "--overlay", "notes")
    (other.root / "docker/overlays/notes.yml").write_text(NOTES)

    other.invoke(*RESTORE, *dest, *overlay)
    other.invoke("up", *overlay, "--service", "reader")

    assert count(other) == 3
    write_lines(other, 1)
    assert count(notes) == 3
    words = ("volume", "inspect", "--format", "{{json .Labels}}")
    labels = json.loads(docker(*words, f"{other.project}_notes_data"))
    assert labels["com.docker.compose.project"] == other.project
    assert labels["com.docker.compose.volume"] == "notes_data"


def test_store_that_starts_under_the_copy_discards_it(notes: Scenario) -> None:
    """Also: what copies reads one volume, and can do nothing else."""
    with held(notes, "asked copy", *BACKUP) as task:
        (helper,) = json.loads(docker("inspect", strays(notes).strip()))
        docker("start", notes.container("notes")["Id"])
    host = helper["HostConfig"]

    assert task.returncode == 7
    assert "was started or ended" in (notes.root / "said").read_text()
    assert notes.json("backups")["sets"] == []
    assert_whole(notes)
    volumes = {m["Name"]: m["RW"] for m in helper["Mounts"] if m["Type"] == "volume"}
    assert volumes == {f"{notes.project}_notes_data": False}
    assert host["NetworkMode"] == "none"
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    rights = [name.removeprefix("CAP_") for name in host["CapAdd"]]
    assert rights == ["DAC_READ_SEARCH"]
    assert host["LogConfig"]["Type"] == "none"
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["PidsLimit"]
    assert not host["Privileged"]


def test_only_a_yes_removes_sets_and_kept_data(notes: Scenario) -> None:
    """Prune keeps what its rules say; nothing but --discard ends the way back."""
    made = [notes.json(*BACKUP)["id"] for _ in range(3)]
    prune = ("prune", "--keep-last", "1")
    notes.invoke(*prune, code=2)
    assert sets_of(notes) == made[::-1]
    assert notes.json(*prune, "--yes")["removed"] == made[1::-1]
    assert sets_of(notes) == made[2:]
    assert {p.name for p in (notes.root / "backups" / notes.project).iterdir()} == {
        made[2]
    }

    write_lines(notes, 4)
    notes.invoke(*RESTORE[:-1], code=2)
    assert count(notes) == 7
    notes.invoke(*RESTORE)
    assert count(notes) == 3
    notes.invoke("restore", "--undo", code=2)
    notes.invoke("restore", "--discard", code=2)
    assert len(notes.json("status")["previous"]) == 1
    assert ".compose-ops-restore" in in_the_volume(notes)

    notes.invoke("restore", "--discard", "--yes")
    assert notes.json("status")["previous"] == []
    assert ".compose-ops-restore" not in in_the_volume(notes)
    notes.invoke("restore", "--undo", "--yes", code=7)
    assert count(notes) == 3


def sets_of(scenario: Scenario) -> list[str]:
    return [str(one["id"]) for one in scenario.json("backups")["sets"]]


def test_gzip_set_is_private_and_opens_with_plain_tools(notes: Scenario) -> None:
    """A set of the guide's format; one whose archive is another set's is refused."""
    first = Path(notes.json(*BACKUP, "--gzip")["path"])
    archive = first / "notes_data.tar.gz"
    listed = docker(
        *("run", "--rm", "--network=none", f"--volume={first}:/set:ro"),
        *("localhost/jimbot-base:bookworm", "tar", "tzf", "/set/notes_data.tar.gz"),
    )
    assert "notes" in {name.removeprefix("./") for name in listed.split()}
    modes = {oct(p.stat().st_mode & 0o777) for p in first.iterdir()}
    assert modes == {"0o600"}
    assert first.stat().st_mode & 0o777 == 0o700
    assert first.parent.stat().st_mode & 0o777 == 0o700
    write_lines(notes, 4)
    second = Path(notes.json(*BACKUP, "--gzip")["path"])
    assert len(notes.json("verify")["sets"]) == 2
    notes.invoke(*RESTORE, "--set", first.name)
    assert count(notes) == 3

    shutil.copy(archive, second / archive.name)
    said = notes.invoke(*RESTORE, "--set", second.name, code=7).stderr
    assert said.count("error:") == 1
    notes.invoke("verify", "--set", second.name, code=7)
    assert count(notes) == 3
    notes.invoke("restore", "--discard", "--yes")


def test_native_copy_is_made_refused_or_replaced_by_a_stop(notes: Scenario) -> None:
    """Asked for, it is made or refused; as the default it gives way to a stop."""
    started_at = notes.container("notes")["State"]["StartedAt"]
    native = notes.json(*BACKUP, "--consistency", "native")
    assert native["stores"][0]["consistency"] == "native"
    notes.execute("notes", "touch", "/run/busy")
    notes.invoke(*BACKUP, "--consistency", "native", code=7)
    assert notes.container("notes")["State"]["StartedAt"] == started_at
    assert "locked" not in notes.execute("notes", "ls", "/run")

    relabel(notes, "stop native crash", "native stop crash")
    replaced = notes.json(*BACKUP)

    assert replaced["stores"][0]["consistency"] == "stop"
    assert notes.container("notes")["State"]["StartedAt"] != started_at
    assert_whole(notes)
    assert len(sets_of(notes)) == 2


def test_stop_that_goes_on_after_an_interrupt_leaves_nothing_stopped(
    notes: Scenario,
) -> None:
    """A store that takes its time to end still runs when its backup is given up."""
    slow = "trap 'touch /data/ending; sleep 2; exit 0' TERM"
    relabel(notes, "trap 'echo stopped >>/data/end; exit 0' TERM", slow)
    up = ("up", "--offline", "--overlay", "notes", "--service", "reader")
    notes.invoke(*up)
    before = notes.container("notes")["State"]["StartedAt"]
    volume = f"{notes.project}_notes_data"
    ending = Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", volume).strip())

    with notes.begin(*BACKUP) as task:
        assert until((ending / "ending").exists)
        task.send_signal(signal.SIGINT)
        said = task.communicate(timeout=60)[0]

    assert task.returncode == 130, said
    assert notes.container("notes")["State"]["StartedAt"] > before
    assert_whole(notes)
    (notes.root / "docker/overlays/notes.yml").write_text(NOTES)
    notes.invoke(*up)


def test_preparation_that_goes_on_after_an_interrupt_takes_no_lock(
    notes: Scenario,
) -> None:
    """Whatever it started in the container is over before the store is let go."""
    slow = "touch /data/preparing; sleep 30; touch /run/locked"
    relabel(notes, "test ! -e /run/busy && touch /run/locked", slow)
    volume = f"{notes.project}_notes_data"
    data = Path(docker("volume", "inspect", "-f", "{{.Mountpoint}}", volume).strip())

    with notes.begin(*BACKUP, "--consistency", "native") as task:
        assert until((data / "preparing").exists)
        assert "touch /run/locked" in processes(notes)
        task.send_signal(signal.SIGINT)
        said = task.communicate(timeout=60)[0]

    assert task.returncode == 130, said
    assert "touch /run/locked" not in processes(notes)
    assert "sleep 30" not in processes(notes)
    assert "locked" not in notes.execute("notes", "ls", "/run")
    assert_whole(notes)


def processes(scenario: Scenario) -> str:
    return docker("top", str(scenario.container("notes")["Id"]))


def test_preparation_that_ended_may_leave_what_holds_the_lock(notes: Scenario) -> None:
    """What a task that died had prepared is released by the store's own command."""
    locks = "sleep 1000 & echo $$! >/run/holder"
    relabel(notes, "test ! -e /run/busy && touch /run/locked", locks)
    relabel(notes, "rm -f /run/locked", "kill $$(cat /run/holder) && rm /run/holder")
    words = (*BACKUP, "--consistency", "native")

    (notes.root / "boundaries").unlink(missing_ok=True)
    assert dying(notes, 0, *words).returncode == 0
    steps = (notes.root / "boundaries").read_text().splitlines()
    assert "sleep 1000" not in processes(notes)
    (notes.root / "boundaries").unlink()
    died = dying(notes, 1 + steps.index("before store prepared"), *words)

    assert died.returncode == -9
    assert "sleep 1000" in processes(notes)
    notes.invoke("prune", "--keep-last", "9", "--yes")
    assert "sleep 1000" not in processes(notes)
    assert_whole(notes)
