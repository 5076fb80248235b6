"""The QuestDB stand-in's files: rows, `_txn`, and what a snapshot is good for."""

import shutil
from pathlib import Path

import pytest
from questdb_standin.database import Database
from questdb_standin.tables import Column, Table, TableError


def open_database(
    root: Path, instance_id: str = "", *, recover: bool = True
) -> Database:
    return Database.open(root, instance_id=instance_id, recover=recover)


def make_table(database: Database) -> Table:
    return database.create("t", [Column("id", "LONG")], None)


def ids(database: Database) -> list[int]:
    return [row[0] for row in database.table("t").read()]


def copy_while_written(source: Database, target: Path) -> None:
    """Copy the files as a hot backup may: the rows first, `_txn` after more rows."""
    table = source.table("t")
    rows = table.data.read_bytes()
    table.append([[99]])
    shutil.copytree(source.root, target)
    (target / "db" / "t" / "default" / "rows.d").write_bytes(rows)


def test_rows_survive_without_a_stop(tmp_path: Path) -> None:
    """What `append` returned for is on the disk."""
    table = make_table(open_database(tmp_path))
    table.append([[1], [2]])
    table.append([[3]])

    assert ids(open_database(tmp_path)) == [1, 2, 3]


def test_rows_behind_txn_were_never_acknowledged(tmp_path: Path) -> None:
    """The tail of a killed insert is cut, and the next one follows the rest."""
    table = make_table(open_database(tmp_path))
    table.append([[1]])
    with table.data.open("ab") as stream:
        stream.write(b"half a row")
    database = open_database(tmp_path)
    database.table("t").append([[2]])

    assert ids(open_database(tmp_path)) == [1, 2]


def test_a_copy_in_the_wrong_order_is_unreadable(tmp_path: Path) -> None:
    """A table whose `_txn` counts rows that are not there says so on every use."""
    database = open_database(tmp_path / "live")
    make_table(database).append([[1]])
    copy_while_written(database, tmp_path / "copy")
    copy = open_database(tmp_path / "copy")

    with pytest.raises(TableError, match="corrupt"):
        ids(copy)
    with pytest.raises(TableError, match="corrupt"):
        copy.table("t").append([[2]])


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    """Every row has a checksum."""
    table = make_table(open_database(tmp_path))
    table.append([[1], [2]])
    data = bytearray(table.data.read_bytes())
    data[-2] ^= 1
    table.data.write_bytes(data)

    with pytest.raises(TableError, match="damaged"):
        ids(open_database(tmp_path))


def test_a_snapshot_can_be_prepared_once(tmp_path: Path) -> None:
    """QuestDB's error text, and COMPLETE as often as one likes."""
    database = open_database(tmp_path)
    make_table(database)
    database.prepare_snapshot()
    with pytest.raises(TableError, match="Waiting for SNAPSHOT COMPLETE to be called"):
        database.prepare_snapshot()
    assert (tmp_path / "snapshot" / "db" / "t" / "_txn").exists()
    database.complete_snapshot()
    database.complete_snapshot()
    assert not (tmp_path / "snapshot" / "db").exists()
    database.prepare_snapshot()


@pytest.mark.parametrize(
    ("taken_by", "restored_as", "recovered"),
    [("a", "b", True), ("a", "a", False), ("", "b", False), ("a", "", False)],
)
def test_recovery_needs_two_different_instance_ids(
    tmp_path: Path, taken_by: str, restored_as: str, *, recovered: bool
) -> None:
    """The trap of 7.3: without ids the copied files are used as they lie there."""
    database = open_database(tmp_path / "live", taken_by)
    make_table(database).append([[1], [2]])
    database.prepare_snapshot()
    copy_while_written(database, tmp_path / "copy")
    copy = open_database(tmp_path / "copy", restored_as)

    assert (copy.table("t").damage is None) is recovered
    if recovered:
        assert ids(copy) == [1, 2]
        assert ids(open_database(tmp_path / "copy", "c")) == [1, 2]


def test_recovery_can_be_switched_off(tmp_path: Path) -> None:
    """`cairo.snapshot.recovery.enabled=false`."""
    database = open_database(tmp_path / "live", "a")
    make_table(database).append([[1]])
    database.prepare_snapshot()
    copy_while_written(database, tmp_path / "copy")

    copy = open_database(tmp_path / "copy", "b", recover=False)
    assert copy.table("t").damage is not None


def test_a_table_without_its_meta_is_no_table(tmp_path: Path) -> None:
    """What a kill left of a CREATE or a DROP is passed over and can be made again."""
    database = open_database(tmp_path)
    make_table(database)
    (tmp_path / "db" / "t" / "_meta").unlink()

    assert open_database(tmp_path).tables == {}
    make_table(open_database(tmp_path)).append([[1]])
    assert ids(open_database(tmp_path)) == [1]
