"""What cannot be backed up or restored is refused in one line, and nothing is lost."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from e2e_scenario import Scenario, docker
from notes_site import NOTES, STUBBORN, assert_whole, count, held, running, strays
from notes_site import write as write_lines

from compose_ops.backup.encryption import one_time_identity

pytestmark = [pytest.mark.docker, pytest.mark.slow]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    with running(tmp_path_factory.mktemp("checkout")) as site:
        yield site


@pytest.fixture
def notes(site: Scenario) -> Iterator[Scenario]:
    """Return the running notes with three lines and no set."""
    site.execute("notes", "sh", "-c", "rm -f /data/notes /data/big")
    shutil.rmtree(site.root / "backups", ignore_errors=True)
    for known in site.root.glob(".compose-ops/*/*/destinations.json"):
        known.unlink()
    write_lines(site, 3)
    yield site
    (site.root / "docker/overlays/notes.yml").write_text(NOTES)
    if list((site.root / ".compose-ops").rglob("previous.json")):
        site.invoke("restore", "--discard", "--yes")


@pytest.fixture(scope="module")
def kept(site: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a destination with one set of the notes, to copy and spoil."""
    dest = tmp_path_factory.mktemp("kept")
    write_lines(site, 3)
    site.invoke("backup", "--service", "notes", "--dest", str(dest))
    return dest


def began(scenario: Scenario) -> str:
    return str(scenario.container("notes")["State"]["StartedAt"])


def refused(scenario: Scenario, *words: str, code: int = 7) -> str:
    """Run a task that must be refused in one line; return what it said."""
    said = scenario.invoke(*words, code=code).stderr
    assert said.count("error:") == 1
    assert "Traceback" not in said
    assert strays(scenario) == ""
    return said


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """Mount a small file system in memory at *place*."""
    place.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", options, "jimbot-test", str(place)]
    subprocess.run(words, check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


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


def _older_here(scenario: Scenario, _: Path) -> tuple[str, ...]:
    overlay = scenario.root / "docker/overlays/notes.yml"
    overlay.write_text(overlay.read_text().replace("echo 2.1", "echo 1.9"))
    return ()


def _missing(_: Scenario, __: Path) -> tuple[str, ...]:
    return ("--set", "20200101T000000Z-0001")


def _before_the_first(_: Scenario, __: Path) -> tuple[str, ...]:
    return ("--at", "2020-01-01 12:00")


def _other_project(_: Scenario, __: Path) -> tuple[str, ...]:
    return ("--from-project", "somebody")


def _move_from_other(_: Scenario, made: Path) -> tuple[str, ...]:
    other = made.parent.with_name("somebody")
    made.parent.rename(other)
    return ("--from-project", "somebody", "--set", made.name)


@pytest.mark.parametrize(
    "spoil",
    [
        *(_truncate, _flip, _swap_for_link, _forge, _older_here, _missing),
        *(_before_the_first, _other_project, _move_from_other),
    ],
)
def test_bad_set_is_refused_before_anything_is_touched(
    notes: Scenario, kept: Path, tmp_path: Path, spoil: Spoil
) -> None:
    """One line what is wrong, exit code 7; the store was never stopped."""
    dest = tmp_path / "sets"
    shutil.copytree(kept, dest)
    made = next((dest / notes.project).iterdir())
    before = began(notes)

    more = spoil(notes, made)
    words = ("restore", "--service", "notes", "--yes", "--dest", str(dest))
    refused(notes, *words, *more)

    assert began(notes) == before
    assert count(notes) == 3


def test_destination_that_cannot_take_a_set_leaves_everything_running(
    notes: Scenario, tmp_path: Path
) -> None:
    """Full, read-only, or no folder: known before anything is stopped."""
    notes.execute("notes", "dd", "if=/dev/urandom", "of=/data/big", "bs=1M", "count=8")
    before = began(notes)
    closed = tmp_path / "closed"
    closed.write_text("a file, no folder")
    words = ("backup", "--service", "notes", "--dest")

    with mounted(tmp_path / "small", "size=4m") as small:
        refused(notes, *words, str(small))
        assert not list(small.rglob("*.zst"))
    with mounted(tmp_path / "fixed", "ro") as fixed:
        assert "cannot be written" in refused(notes, *words, str(fixed))
    refused(notes, *words, str(closed))

    assert began(notes) == before


def test_destination_that_fills_up_under_the_copy_costs_only_this_set(
    notes: Scenario, tmp_path: Path
) -> None:
    """The sets before it shrank so far that nobody could know."""
    notes.execute("notes", "dd", "if=/dev/zero", "of=/data/big", "bs=1M", "count=16")
    before = began(notes)
    words = ("backup", "--service", "notes", "--dest")
    with mounted(tmp_path / "small", "size=32m") as small:
        first = notes.json(*words, str(small))["id"]
        subprocess.run(["mount", "-o", "remount,size=6m", small], check=True)
        notes.execute(
            "notes", "dd", "if=/dev/urandom", "of=/data/big", "bs=1M", "count=16"
        )
        assert "destination full" in refused(notes, *words, str(small))
        sets = notes.json("backups", "--dest", str(small))["sets"]
        assert [one["id"] for one in sets] == [first]
        assert [path.name for path in (small / notes.project).iterdir()] == [first]

    assert_whole(notes)
    assert began(notes) != before
    assert count(notes) == 3


def test_second_backup_at_once_names_the_first(notes: Scenario) -> None:
    with held(notes, "after copying", "backup", "--service", "notes") as first:
        said = notes.invoke("backup", "--service", "notes", code=9).stderr
        assert said.startswith("error: ")
        assert f"invoke backup (pid {first.pid}" in said
    assert first.wait(60) == 0
    assert len(notes.json("backups")["sets"]) == 1
    assert_whole(notes)


def test_encrypted_set_opens_only_with_its_identity(
    notes: Scenario, tmp_path: Path
) -> None:
    """Nothing readable lies in the set; the right key restores it, no other does."""
    secret, public = one_time_identity()
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text(f"{secret}\n")
    wrong.write_text(f"{one_time_identity()[0]}\n")
    notes.execute("notes", "sh", "-c", "echo very-private-words >>/data/notes")
    made = notes.json("backup", "--service", "notes", "--encrypt", str(public))
    names = {path.name for path in Path(made["path"]).iterdir()}
    sealed = {"notes_data.tar.zst.age", "notes_data.files.zst.age"}
    assert names == sealed | {"manifest.json", "record.json"}
    for name in sealed:
        data = (Path(made["path"]) / name).read_bytes()
        assert data.startswith(b"age-encryption.org/v1")
    write_lines(notes, 5)

    restore = ("restore", "--service", "notes", "--yes")
    refused(notes, *restore, code=2)
    refused(notes, *restore, "--identity", str(wrong))
    assert count(notes) == 9
    assert notes.json("verify", "--identity", str(right))["sets"][0]["opened"]
    notes.invoke(*restore, "--identity", str(right))
    assert "very-private-words" in notes.execute("notes", "cat", "/data/notes")
    assert count(notes) == 4


def test_restore_by_time_is_undone_or_expires(notes: Scenario) -> None:
    """What it moved aside comes back, or goes with a backup more than a week later."""
    first = notes.json("backup", "--service", "notes")
    write_lines(notes, 4)
    notes.invoke("backup", "--service", "notes")

    restore = ("restore", "--service", "notes", "--yes", "--at", first["created"])
    notes.invoke(*restore)
    assert count(notes) == 3
    assert notes.json("status")["previous"][0]["services"] == ["notes"]
    notes.invoke("restore", "--undo", "--yes")
    assert count(notes) == 7

    assert age_previous(notes, timedelta(days=6, hours=23)) == 1
    notes.invoke("backup", "--service", "notes")
    assert len(notes.json("status")["previous"]) == 1
    age_previous(notes, timedelta(days=7, hours=1))
    notes.invoke("backup", "--service", "notes")
    assert notes.json("status")["previous"] == []
    assert ".compose-ops-restore" not in notes.execute("notes", "ls", "-a", "/data")
    assert count(notes) == 7


def age_previous(scenario: Scenario, age: timedelta) -> int:
    """Date back what restores have moved aside; return how many did."""
    (file,) = (scenario.root / ".compose-ops").rglob("previous.json")
    state = json.loads(file.read_text())
    for entry in state["points"]:
        entry["moved"] = (datetime.now(UTC) - age).isoformat(timespec="seconds")
    file.write_text(json.dumps(state))
    return len(state["points"])


def test_full_volume_and_unclean_stop(notes: Scenario, tmp_path: Path) -> None:
    """A store that had to be killed is marked; one without room keeps its data."""
    with mounted(tmp_path / "volume", "size=8m,nr_inodes=40") as volume:
        overlay = notes.root / "docker/overlays/stubborn.yml"
        overlay.write_text(STUBBORN % volume)
        up = ("up", "--offline", "--overlay", "notes", "--overlay", "stubborn")
        notes.invoke(*up, "--service", "stubborn")
        words = "for n in $(seq 20); do echo $n >/data/$n; done"
        notes.execute("stubborn", "sh", "-c", words)

        made = notes.json("backup", "--service", "stubborn")["stores"][0]
        assert (made["consistency"], made["exit_code"]) == ("crash", 137)
        said = refused(notes, "restore", "--service", "stubborn", "--yes")

        assert "the volume is full" in said
        assert len(list(volume.iterdir())) == 20
        assert notes.container("stubborn")["State"]["Running"]
        docker("rm", "--force", notes.container("stubborn")["Id"])
        docker("volume", "rm", f"{notes.project}_stubborn_data")
        overlay.unlink()
        notes.invoke("up", "--offline", "--overlay", "notes", "--service", "reader")
