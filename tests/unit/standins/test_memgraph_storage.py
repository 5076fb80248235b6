"""The Memgraph stand-in's files: what is kept, and what is refused."""

from pathlib import Path

import pytest
from memgraph_standin.graph import Node
from memgraph_standin.server import StartError, _take_directory
from memgraph_standin.snapshots import StorageError
from memgraph_standin.storage import Durability, Storage

KEPT = Durability(wal_enabled=True, wal_file_size=1 << 20, snapshots_kept=2)
ONE_RECORD_LOGS = Durability(wal_enabled=True, wal_file_size=1, snapshots_kept=2)


def add(storage: Storage, *numbers: int) -> None:
    for number in numbers:
        storage.commit([Node(("N",), {"id": number})])


def ids(storage: Storage) -> list[int]:
    return [node.properties["id"] for _, node in storage.graph.matching(None)]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_a_killed_process_keeps_its_commits(tmp_path: Path) -> None:
    """The log alone brings everything back."""
    add(Storage.open(tmp_path, KEPT), 1, 2, 3)

    storage = Storage.open(tmp_path, KEPT)
    add(storage, 4)

    assert ids(Storage.open(tmp_path, KEPT)) == [1, 2, 3, 4]
    assert Storage.open(tmp_path, KEPT).graph.count("N") == 4


def test_snapshot_and_log_together_are_the_data(tmp_path: Path) -> None:
    """The newest snapshot is loaded, and of the log only what is younger."""
    storage = Storage.open(tmp_path, KEPT)
    add(storage, 1, 2)
    storage.create_snapshot()
    add(storage, 3)

    assert ids(Storage.open(tmp_path, KEPT)) == [1, 2, 3]


def test_the_snapshot_alone_is_the_data_of_its_moment(tmp_path: Path) -> None:
    """A native backup copies `snapshots` only."""
    storage = Storage.open(tmp_path, KEPT)
    add(storage, 1, 2)
    storage.create_snapshot()
    add(storage, 3)
    for path in storage.wals.iterdir():
        path.unlink()

    assert ids(Storage.open(tmp_path, KEPT)) == [1, 2]


def test_a_torn_transaction_is_no_transaction(tmp_path: Path) -> None:
    """A record that was cut in the middle was never acknowledged."""
    storage = Storage.open(tmp_path, KEPT)
    add(storage, 1, 2)
    (log,) = storage.wals.iterdir()
    log.write_bytes(log.read_bytes()[:-3])

    storage = Storage.open(tmp_path, KEPT)
    add(storage, 5)

    assert ids(Storage.open(tmp_path, KEPT)) == [1, 5]


def test_without_the_log_only_snapshots_are_kept(tmp_path: Path) -> None:
    """The binary's default, which the packaged configuration changes."""
    durability = Durability(wal_enabled=False, wal_file_size=1, snapshots_kept=2)
    storage = Storage.open(tmp_path, durability)
    add(storage, 1)
    storage.create_snapshot()
    add(storage, 2)

    assert ids(Storage.open(tmp_path, durability)) == [1]


def test_a_gap_between_logs_is_refused(tmp_path: Path) -> None:
    """A file that is missing in the middle is not passed over in silence."""
    storage = Storage.open(tmp_path, ONE_RECORD_LOGS)
    add(storage, 1, 2, 3)
    sorted(storage.wals.iterdir())[1].unlink()

    with pytest.raises(StorageError, match="missing"):
        Storage.open(tmp_path, ONE_RECORD_LOGS)


def test_retention_keeps_what_recovery_needs(tmp_path: Path) -> None:
    """Old snapshots go, and the logs that the oldest kept one covers."""
    storage = Storage.open(tmp_path, ONE_RECORD_LOGS)
    for number in range(4):
        add(storage, number)
        storage.create_snapshot()

    assert [name.rpartition("_")[2] for name in names(storage.snapshots)] == ["3", "4"]
    assert [name.rpartition("from_")[2] for name in names(storage.wals)] == ["4_to_4"]
    newest = max(storage.snapshots.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    assert ids(Storage.open(tmp_path, ONE_RECORD_LOGS)) == [0, 1, 2, 3]


def test_a_locked_directory_loses_no_file(tmp_path: Path) -> None:
    """Deletions wait for the unlock."""
    storage = Storage.open(tmp_path, ONE_RECORD_LOGS)
    storage.locked = True
    for number in range(4):
        add(storage, number)
        storage.create_snapshot()

    assert len(names(storage.snapshots)) == 4
    assert len(names(storage.wals)) == 4

    storage.locked = False
    storage.remove_superfluous()
    assert len(names(storage.snapshots)) == 2


def test_only_damaged_snapshots_are_refused(tmp_path: Path) -> None:
    """An empty graph in place of unreadable data would hide the loss."""
    storage = Storage.open(tmp_path, KEPT)
    add(storage, 1)
    path = storage.create_snapshot()
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(StorageError):
        Storage.open(tmp_path, KEPT)


def test_a_snapshot_of_nothing_new_is_refused(tmp_path: Path) -> None:
    """As in Memgraph since 3.1: a backup has to expect it."""
    storage = Storage.open(tmp_path, KEPT)
    add(storage, 1)
    storage.create_snapshot()

    with pytest.raises(StorageError, match="since the last snapshot"):
        storage.create_snapshot()
    with pytest.raises(StorageError, match="since the last snapshot"):
        Storage.open(tmp_path, KEPT).create_snapshot()


def test_recovering_a_snapshot_replaces_the_data(tmp_path: Path) -> None:
    """The present files move to `.old`; later commits follow the snapshot."""
    storage = Storage.open(tmp_path / "a", KEPT)
    add(storage, 1, 2)
    path = storage.create_snapshot()
    target = Storage.open(tmp_path / "b", KEPT)
    add(target, 8, 9)

    with pytest.raises(StorageError, match="FORCE"):
        target.recover_snapshot(path, force=False)
    target.recover_snapshot(path, force=True)
    add(target, 3)

    assert ids(target) == [1, 2, 3]
    assert ids(Storage.open(tmp_path / "b", KEPT)) == [1, 2, 3]
    assert len(names(target.wals / ".old")) == 1


@pytest.mark.parametrize("content", [b"", b"no snapshot", b"\0" * 64])
def test_recovering_from_something_else_changes_nothing(
    tmp_path: Path, content: bytes
) -> None:
    """The file is read before anything moves."""
    storage = Storage.open(tmp_path / "data", KEPT)
    add(storage, 1)
    file = tmp_path / "file"
    file.write_bytes(content)

    with pytest.raises(StorageError):
        storage.recover_snapshot(file, force=True)
    assert ids(Storage.open(tmp_path / "data", KEPT)) == [1]


def test_recovery_can_be_switched_off(tmp_path: Path) -> None:
    """The old files are kept aside."""
    add(Storage.open(tmp_path, KEPT), 1)
    off = Durability(
        wal_enabled=True, wal_file_size=1, snapshots_kept=2, recover_on_start=False
    )
    storage = Storage.open(tmp_path, off)

    assert ids(storage) == []
    assert len(names(storage.wals / ".old")) == 1


def test_a_directory_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore that forgets the owner is told so by the start."""
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)

    with pytest.raises(StartError, match=f"is owned by user {owner}"):
        _take_directory(tmp_path)
