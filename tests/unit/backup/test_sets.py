"""Manifests that cannot be true, sets that are chosen, kept and removed."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from compose_ops.backup import manifest as manifests
from compose_ops.backup import repository
from compose_ops.backup.manifest import Archive, Manifest, Store
from compose_ops.backup.retention import Candidate, Rules, reasons
from compose_ops.errors import DataError, UsageError

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ARCHIVE = Archive(
    key="memgraph_data",
    volume="p_memgraph_data",
    driver="local",
    options={},
    labels={},
    sha256="a" * 64,
    size=10,
    plain_sha256="a" * 64,
    files=3,
    bytes=20,
    listing_sha256="b" * 64,
)
STORE = Store(
    service="memgraph",
    consistency="native",
    image="memgraph",
    image_id="sha256:1",
    version="3.2.0",
    exit_code=None,
    count=(3, 3),
    grows=False,
    archives=(ARCHIVE,),
)


def made(number: int, created: datetime = NOW) -> Manifest:
    return Manifest(
        id=f"{created:%Y%m%dT%H%M%SZ}-{number:04d}",
        project="p",
        created=created.isoformat(),
        coherent=False,
        compression="zstd",
        encrypted=False,
        engine="26.1.5",
        tool="test",
        stores=(STORE,),
    )


def kept(dest: Path, manifest: Manifest, *, verified: bool = True) -> Path:
    folder = dest / "p" / manifest.id
    folder.mkdir(parents=True)
    (folder / repository.MANIFEST).write_text(manifests.written(manifest))
    (folder / manifest.archive_name("memgraph_data")).write_bytes(b"0123456789")
    if verified:
        repository.note(folder, verified=manifest.created)
    return folder


def test_manifest_comes_back_as_it_was(tmp_path: Path) -> None:
    folder = kept(tmp_path, made(1))

    assert made(1) == manifests.read(folder / repository.MANIFEST)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("id",), "../../etc"),
        (("project",), "a/b"),
        (("schema",), 3),
        (("compression",), "rar"),
        (("created",), "yesterday"),
        (("stores", 0, "service"), "../x"),
        (("stores", 0, "consistency"), "perfect"),
        (("stores", 0, "archives", 0, "key"), "/etc/passwd"),
        (("stores", 0, "archives", 0, "volume"), "--privileged"),
        (("stores", 0, "archives", 0, "sha256"), "abc"),
        (("stores", 0, "archives", 0, "size"), -1),
        (("stores", 0, "archives", 0, "files"), 1.5),
        (("stores", 0, "count"), ["many"]),
        (("stores", 0, "count"), [1e999]),
        (("stores", 0, "exit_code"), float("inf")),
        (("stores", 0, "version"), "x"),
        (("stores", 0, "version"), "3." + "9" * 5000),
        (("stores", 0, "version"), "٣.٢"),
        (("stores",), None),
        (("stores",), [asdict(STORE), asdict(STORE)]),
        (("created",), "0001-01-01T00:00:00+14:00"),
        (("created",), "9999-12-31T23:59:59-14:00"),
        (("created",), "2026-11-23T12:00:00"),
    ],
)
def test_manifest_that_cannot_be_true_is_refused(
    tmp_path: Path, where: tuple[Any, ...], value: Any
) -> None:
    """Even when whoever forged it made its own hash fit."""
    folder = kept(tmp_path, made(1))
    data = json.loads((folder / repository.MANIFEST).read_text())
    del data["digest"]
    inner: Any = data
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    data["digest"] = manifests._digest(data)  # noqa: SLF001 - a forger would
    (folder / repository.MANIFEST).write_text(json.dumps(data))

    with pytest.raises(DataError, match="is invalid"):
        manifests.read(folder / repository.MANIFEST)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def _deep(path: Path) -> None:
    path.write_text(DEEP)


DEEP = "[" * 200_000


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"digest": 1}', "\0" * 99, DEEP, '{"a":' * 99_999]
)
def test_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    folder = kept(tmp_path, made(1))
    (folder / repository.MANIFEST).write_text(text)

    with pytest.raises(DataError):
        manifests.read(folder / repository.MANIFEST)


@pytest.mark.parametrize("name", [repository.MANIFEST, repository.RECORD])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _endless, _huge, _deep])
def test_file_of_a_set_that_is_no_file_spoils_no_other_set(
    tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    """Nor does it keep anybody waiting."""
    kept(tmp_path, made(1))
    bad = kept(tmp_path, made(2)) / name
    bad.unlink()
    make(bad)

    first, second = repository.listed(tmp_path, "p")

    assert (first.verified, second.verified is not None) == (None, True)
    assert repository.choose(tmp_path, "p").id == second.id


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 7, [], "now"]
)
def test_record_with_an_impossible_time_verifies_nothing(
    tmp_path: Path, when: object
) -> None:
    folder = kept(tmp_path, made(1))
    repository.note(folder, verified=when, drilled=when)

    assert repository.load(folder).verified is None
    assert repository.load(folder).drilled is None


def test_manifest_with_one_flipped_bit_is_refused(tmp_path: Path) -> None:
    folder = kept(tmp_path, made(1))
    file = folder / repository.MANIFEST
    text = file.read_text().replace("memgraph", "memgrapi", 1)
    file.write_text(text)

    with pytest.raises(DataError, match="its digest does not match"):
        manifests.read(file)


def test_set_under_another_name_is_not_believed(tmp_path: Path) -> None:
    folder = kept(tmp_path, made(1))
    folder.rename(folder.with_name(made(2).id))

    (found,) = repository.listed(tmp_path, "p")

    assert found.manifest is None


@pytest.mark.parametrize(
    "change",
    [
        {"id": "20261123T120000Z-1000000000"},
        {"created": "1969-01-01T00:00:00+00:00"},
        {"stores": (replace(STORE, version="20240115123045"),)},
        {"stores": (replace(STORE, service="s" * 129),)},
        {"undeclared": ("x" * 301,)},
        {"tool": "x" * manifests.MAX_BYTES},
    ],
)
def test_set_that_no_reader_would_take_gets_no_name(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    partial = repository.next_path(tmp_path, "p", NOW)
    repository.make(partial)

    with pytest.raises(DataError):
        repository.finish(partial, replace(made(1), **change))

    assert [path.name for path in (tmp_path / "p").iterdir()] == [partial.name]


def test_number_that_none_can_follow_is_passed_over(tmp_path: Path) -> None:
    kept(tmp_path, made(7))
    (tmp_path / "p" / made(999_999_999).id).mkdir()

    assert repository.next_path(tmp_path, "p", NOW).name.endswith("-0008")


def test_partial_sets_are_no_sets(tmp_path: Path) -> None:
    repository.make(repository.next_path(tmp_path, "p", NOW))

    assert repository.listed(tmp_path, "p") == []


def test_numbers_grow_when_the_clock_is_set_back(tmp_path: Path) -> None:
    kept(tmp_path, made(7))

    later = repository.next_path(tmp_path, "p", NOW - timedelta(days=400))

    assert later.name.endswith("-0008")


def test_newest_verified_set_is_chosen(tmp_path: Path) -> None:
    kept(tmp_path, made(1, NOW - timedelta(days=2)))
    kept(tmp_path, made(2, NOW - timedelta(days=1)))
    kept(tmp_path, made(3, NOW), verified=False)

    newest = repository.choose(tmp_path, "p", services=("memgraph",))
    earlier = repository.choose(tmp_path, "p", at=NOW - timedelta(days=1, hours=1))

    assert newest.id.endswith("-0002")
    assert earlier.id.endswith("-0001")


def _lose(archive: Path) -> None:
    archive.unlink()


def _cut(archive: Path) -> None:
    archive.write_bytes(b"0123")


def _link(archive: Path) -> None:
    archive.rename(archive.with_name("elsewhere"))
    archive.symlink_to("elsewhere")


@pytest.mark.parametrize("spoil", [_lose, _cut, _link])
def test_set_without_its_archive_is_not_verified(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """Neither chosen nor counted as kept, and the list of sets says why."""
    kept(tmp_path, made(1, NOW - timedelta(days=2)))
    newest = kept(tmp_path, made(2, NOW))
    spoil(newest / "memgraph_data.tar.zst")

    first, second = repository.listed(tmp_path, "p")

    assert (first.verified, second.verified is not None) == (None, True)
    assert first.fault.startswith("memgraph_data.tar.zst")
    assert repository.choose(tmp_path, "p").id == second.id


@pytest.mark.parametrize("set_id", ["../p", "nothing", "20261123T120000Z-0009", "/"])
def test_missing_set_is_refused(tmp_path: Path, set_id: str) -> None:
    kept(tmp_path, made(1))

    with pytest.raises(DataError, match="no set"):
        repository.choose(tmp_path, "p", set_id=set_id)


def test_project_that_is_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        repository.folder(tmp_path, "../other")


def test_only_partial_folders_are_removed_as_such(tmp_path: Path) -> None:
    folder = kept(tmp_path, made(1))
    repository.remove_partial(folder)
    repository.remove_partial(tmp_path)

    assert folder.exists()


def test_a_partial_set_that_cannot_be_removed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = repository.next_path(tmp_path, "p", NOW)
    partial.mkdir(parents=True)
    (partial / "data.tar.gz").touch()

    def refuse(*_words: object, **_how: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "unlink", refuse)
    repository.remove_partial(partial)

    assert f"warning: {partial} cannot be removed" in capsys.readouterr().err


def candidates(count: int, *, verified: bool = True) -> list[Candidate]:
    return [
        Candidate(f"{n:03d}", NOW - timedelta(days=count - n), verified=verified)
        for n in range(count)
    ]


def test_rules_are_added_up() -> None:
    found = reasons(candidates(60), Rules(last=2, weekly=3), now=NOW)

    assert {"059", "058"} <= set(found)
    assert len(found) in {4, 5}


@pytest.mark.parametrize("rules", [Rules(last=1), Rules(daily=5), Rules(monthly=1)])
def test_unverified_sets_never_push_a_verified_one_out(rules: Rules) -> None:
    good, bad = candidates(3), candidates(9, verified=False)
    bad = [replace(c, id=f"bad-{c.id}") for c in bad]

    found = reasons([*good, *bad], rules, now=NOW)

    assert found["002"] == "the newest verified set"


def test_without_a_verified_set_nothing_goes() -> None:
    bad = candidates(5, verified=False)

    assert set(reasons(bad, Rules(last=1), now=NOW)) == {c.id for c in bad}


def test_set_from_the_future_is_kept_and_counts_for_nothing() -> None:
    future = Candidate("future", NOW + timedelta(days=3), verified=True)

    found = reasons([*candidates(3), future], Rules(last=1), now=NOW)

    assert set(found) == {"future", "002"}


def test_newest_is_that_of_the_highest_number_whatever_the_clock_said() -> None:
    """Two sets of a clock that was a day ahead are older than the one after them."""
    ahead = [
        Candidate(f"{n}", NOW - timedelta(hours=1), verified=True, sequence=n)
        for n in (1, 2)
    ]
    last = Candidate("last", NOW - timedelta(days=1), verified=True, sequence=3)

    assert set(reasons([*ahead, last], Rules(last=1), now=NOW)) == {"last"}


def test_new_folders_are_kept_in_those_around_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after a backup must not lose the destination that it made."""
    synced: list[Path] = []
    monkeypatch.setattr(repository, "sync", synced.append)

    repository.make(repository.next_path(tmp_path / "new" / "dest", "p", NOW))

    assert {tmp_path, tmp_path / "new", tmp_path / "new" / "dest"} <= set(synced)


def test_record_that_cannot_be_written_is_only_warned_of(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A set on a read-only destination is no worse for being verified."""

    def refusing(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    folder = kept(tmp_path, made(1))
    monkeypatch.setattr(repository, "write_private", refusing)

    repository.note(folder, verified=None)

    assert "Read-only file system" in capsys.readouterr().err
    assert repository.load(folder).verified == NOW


def test_what_a_record_says_of_a_drill_is_shown_without_control_characters(
    tmp_path: Path,
) -> None:
    folder = kept(tmp_path, made(1))
    evil = "bad\x1b[2J\ud800" + "x" * 999
    repository.note(folder, drill={"at": NOW.isoformat(), "result": evil})

    last = repository.load(folder).drill

    assert last is not None
    assert last["result"].startswith("bad[2Jx")
    assert len(last["result"]) < 300
