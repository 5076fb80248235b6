"""What doctor says of files that tasks left, and of the newest backup."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fakes import FakeEngine, container
from judging import STACK, judge

from compose_ops.backup import create, destinations, repository
from compose_ops.composition import OPERATIONS
from compose_ops.config import Config
from compose_ops.config.schema import (
    CertificatesTable,
    DestinationTable,
    InitTable,
    SecretTable,
    ServerTable,
)
from compose_ops.docker.api import Engine, EngineInfo, Mount, Volume
from compose_ops.doctor.facts.leftovers import (
    Journals,
    Leftover,
    backup_age,
    partial_files,
)
from compose_ops.library import backups as sets
from compose_ops.project.modes import Mode
from compose_ops.runtime.context import StackContext

DAY = 86400.0


def half(project: str = "trial", age: float = DAY) -> Leftover:
    name = f"backups/{project}/.partial-20260101T000000Z-0001"
    return Leftover(STACK.root / name, age)


def partial(leftover: Leftover, *, holder: str = "") -> Any:
    """Return the row on one partial set while *holder* has the project's lock."""
    facts = {"partial_files": (leftover,), "journals": Journals((), holder)}
    return judge("partial-files", stack=STACK, **facts)


def test_partial_set_of_a_running_backup_is_left_alone() -> None:
    assert partial(half(), holder="invoke backup (pid 1)").outcome == "ok"
    assert partial(half()).outcome == "warn"


def test_only_the_projects_own_partial_files_are_removed_by_fix() -> None:
    """Whether another project's backup is at work, this project's lock cannot say."""
    assert [v.safe for v in partial(half()).problems] == [True]
    assert [v.safe for v in partial(half("another")).problems] == [False]
    secret = Leftover(STACK.root / "secrets/.db_password.txt.partial", DAY)
    assert [v.safe for v in partial(secret).problems] == [True]


def test_partial_set_is_as_old_as_its_newest_file(tmp_path: Path) -> None:
    """A long backup's folder is old while its archive grows."""
    folder = tmp_path / "backups/trial/.partial-20260101T000000Z-0001"
    folder.mkdir(parents=True)
    (folder / "memgraph.tar.zst").touch()
    os.utime(folder, (time.time() - DAY,) * 2)

    [found] = partial_files(project(tmp_path))

    assert found.age < DAY / 2


def project(root: Path, **changes: Any) -> Any:
    """Return a project with a secret, a repository and certificates."""
    init = InitTable(
        secrets={"hidden/word": SecretTable()},
        certificates=CertificatesTable(servers={"db": ServerTable()}),
    )
    shelf = DestinationTable(repository="/r", password_file="keys/shelf")
    config = Config(folder=root, init=init, destinations={"shelf": shelf})
    facts: dict[str, Any] = {"root": root, "state": root / ".compose-ops/ENGINE/trial"}
    facts |= {"backups": root / "backups", "project": "trial", "config": config}
    facts["known"] = "an engine"
    return SimpleNamespace(**(facts | changes), collaborators=OPERATIONS)


@pytest.mark.parametrize(
    "name",
    [
        "..env.partial",
        ".compose-ops/ENGINE/trial/.contents.json.partial",
        ".compose-ops/ENGINE/trial/points/.note.partial",
        "elsewhere/trial/.partial-20260101T000000Z-0001",
        "elsewhere/trial/.removed-20260101T000000Z-0001",
        "hidden/.word.partial",
        "keys/.shelf.partial",
        "certs/.making.partial",
    ],
)
def test_what_was_being_written_is_found_wherever_tasks_write(
    tmp_path: Path, name: str
) -> None:
    stack = project(tmp_path)
    destinations.remember(stack.backups, stack.state, tmp_path / "elsewhere")
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir()

    assert [one.path for one in partial_files(stack)] == [path]


def test_what_was_being_written_is_found_without_an_engine(tmp_path: Path) -> None:
    class Silent(FakeEngine):
        def info(self) -> EngineInfo:
            pytest.fail("an engine that hangs would be waited for")

        def plugins(self) -> dict[str, str]:
            return {}

    stack = StackContext(
        collaborators=OPERATIONS,
        root=tmp_path,
        project="trial",
        mode=Mode(),
        engine=cast("Engine", Silent()),
        everyone=(),
        started_as=None,
        config=Config(folder=tmp_path),
    )
    (tmp_path / "..env.partial").touch()

    assert [one.path.name for one in partial_files(stack)] == ["..env.partial"]


def taken(days: int, *, verified: int | None = 0) -> Any:
    """Return a set of so many days ago that was verified so many days ago."""
    now = datetime.now(UTC)
    proof = None if verified is None else now - timedelta(days=verified)
    created = (now - timedelta(days=days)).isoformat()
    manifest = SimpleNamespace(created=created)
    return SimpleNamespace(id=f"set-{days}", verified=proof, manifest=manifest)


def age(root: Path, *, days_of_data: int = 30) -> Any:
    """Return the age of backup and data of a project whose container is of today."""
    begun = datetime.now(UTC) - timedelta(days=days_of_data)
    mount = Mount("volume", "trial_data", "/v", "/data", writable=True)
    used = container("questdb", created=datetime.now(UTC), mounts=(mount,))
    volumes = (
        Volume("trial_data", "local", {}, {}, begun),
        Volume("trial_old", "local", {}, {}, begun - timedelta(days=99)),
    )
    stack: Any = SimpleNamespace(
        collaborators=OPERATIONS,
        root=root,
        state=root / "state",
        backups=root / "backups",
        project="trial",
    )
    return backup_age(stack, (used,), volumes)


def test_data_is_as_old_as_its_volume(tmp_path: Path) -> None:
    """A container made anew by an update has data of long ago."""
    assert age(tmp_path).data == pytest.approx(30 * DAY, abs=60)
    assert age(tmp_path).verified is None


def test_set_is_as_old_as_its_data_however_late_it_is_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [taken(9), taken(4, verified=None), taken(20, verified=1)]
    monkeypatch.setattr(repository, "listed", lambda *_: there)

    assert age(tmp_path).verified == pytest.approx(9 * DAY, abs=60)


def test_newest_set_is_that_of_the_highest_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the one of a day on which the clock was a month ahead."""
    there = [taken(9), taken(-30)]
    monkeypatch.setattr(repository, "listed", lambda *_: there)

    assert age(tmp_path).verified == pytest.approx(9 * DAY, abs=60)


def test_sets_of_another_destination_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `invoke backup --dest` wrote elsewhere is remembered."""
    there = {tmp_path / "elsewhere": [taken(2)]}
    monkeypatch.setattr(repository, "listed", lambda dest, _: there.get(dest, []))
    assert age(tmp_path).verified is None

    for dest in (tmp_path / "backups", tmp_path / "elsewhere", tmp_path / "elsewhere"):
        destinations.remember(tmp_path / "backups", tmp_path / "state", dest)

    assert destinations.known(tmp_path / "backups", tmp_path / "state") == (
        tmp_path / "backups",
        tmp_path / "elsewhere",
    )
    assert age(tmp_path).verified == pytest.approx(2 * DAY, abs=60)


def test_backup_remembers_where_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [None, taken(0)]
    monkeypatch.setattr(create, "take", lambda *_: made.pop(0))
    stack: Any = SimpleNamespace(
        collaborators=OPERATIONS,
        root=tmp_path,
        state=tmp_path / "state",
        backups=tmp_path / "backups",
        config=Config(),
    )

    sets.backup(stack, "dry")
    sets.backup(stack, "elsewhere")

    assert destinations.newest_set(stack.state, tmp_path / "elsewhere") == "set-0"
    assert destinations.newest_set(stack.state, tmp_path / "backups") == ""
    own, *others = destinations.known(stack.backups, stack.state)
    assert (own, others) == (tmp_path / "backups", [tmp_path / "elsewhere"])
