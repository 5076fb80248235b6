"""Which destination a word names, and what the snapshots of a repository say."""

import errno
import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from backup_steps import opened, two_stores
from backup_world import World
from fakes import container

from compose_ops.backup import (
    addresses,
    create,
    fill,
    helper,
    manifest,
    repository,
    restic_access,
    restic_sets,
)
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.archive_files import ArchiveFiles
from compose_ops.backup.encryption import one_time_identity
from compose_ops.backup.restic_destination import ResticDestination, ResticSet
from compose_ops.backup.writing import NotEverywhere
from compose_ops.config import Config
from compose_ops.config.schema import BackupTable, DestinationTable
from compose_ops.errors import ConfigurationError, DataError, Locked, UsageError
from compose_ops.library import backups
from compose_ops.runtime.context import StackContext

RUN = "20261128T012315Z-0001"


def config(folder: Path) -> Config:
    tables = {
        "near": DestinationTable(repository="repository"),
        "plain": DestinationTable(folder="sets"),
        "far": DestinationTable(repository="rest:https://host/", limit_upload=100),
    }
    return Config(destinations=tables, folder=folder)


def test_word_names_a_destination_a_repository_or_a_path(tmp_path: Path) -> None:
    known = config(tmp_path)

    near = addresses.place(known, tmp_path, "near")
    far = addresses.place(known, tmp_path, "far")

    assert isinstance(near, RepositoryAddress)
    assert isinstance(far, RepositoryAddress)
    assert (near.folder, near.url) == (tmp_path / "repository", "")
    assert near.password == tmp_path / "secrets/near.restic"
    assert (far.folder, far.url) == (None, "rest:https://host/")
    assert far.options == ["--limit-upload=100"]
    assert addresses.place(known, tmp_path, "plain") == tmp_path / "sets"
    assert addresses.place(known, tmp_path, "./near") == tmp_path / "near"
    assert addresses.place(known, tmp_path, "restic:repository") == near


@pytest.mark.parametrize(
    "word",
    [
        *("sftp:host:/srv", "s3:host/bucket", "b2:bucket", "https://host/"),
        *(
            "restic:rclone:x:y",
            "restic:sftp:host:/srv",
            "restic:/unknown",
            "restic:rest:http://me:pw@host/",
        ),
    ],
)
def test_scheme_that_is_unknown_or_has_no_password_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.delenv(addresses.PASSWORD_VARIABLE, raising=False)

    with pytest.raises(UsageError):
        addresses.place(config(tmp_path), tmp_path, word)


REMOTE = [
    *("sftp://host/srv", "nas:/srv/b", "root@nas:/srv", "host::module", "ftp:x"),
    *("smb://nas/share", "file:/srv", "SFTP:host:/x", r"\\nas\share", "[::1]:/srv"),
]


@pytest.mark.parametrize("text", REMOTE)
def test_text_that_names_another_machine_is_no_folder(
    tmp_path: Path, text: str
) -> None:
    """A folder of that name would be made here, on the disk that the sets are about."""
    tables = {
        "plain": DestinationTable(folder=text),
        "near": DestinationTable(repository=text),
    }
    known = Config(
        backup=BackupTable(destination=text), destinations=tables, folder=tmp_path
    )

    with pytest.raises(UsageError, match="is a folder, not") as refused:
        addresses.place(config(tmp_path), tmp_path, text)
    assert "./NAME" in refused.value.hint
    with pytest.raises((ConfigurationError, UsageError)):
        addresses.named(known, tmp_path, "plain")
    if not text.startswith("sftp:"):
        with pytest.raises((ConfigurationError, UsageError)):
            addresses.named(known, tmp_path, "near")
    with pytest.raises(ConfigurationError, match="is no folder of this machine"):
        _ = known.destination


@pytest.mark.parametrize(
    "text", ["./nas:/srv", "../a:b", "backups/12:30", "~/a:b", "/srv/a:b", "sets"]
)
def test_colon_behind_a_slash_names_no_machine(tmp_path: Path, text: str) -> None:
    """So `./NAME` names a folder with a colon in its name."""
    known = Config(backup=BackupTable(destination=text), folder=tmp_path)

    assert addresses.place(known, tmp_path, text) == known.destination


def test_folder_of_sets_on_another_machine_is_refused_before_anything_stops(
    stack: StackContext, world: World
) -> None:
    """Whatever `--dest` says: sets are looked for in that folder, too."""
    table = BackupTable(destination="sftp://host/srv")
    remote = replace(stack, config=Config(backup=table))
    world.done.clear()

    for dest in ("", "./here"):
        with pytest.raises(ConfigurationError, match="no folder of this machine"):
            backups.backup(remote, dest, everything=True)

    assert not [words for words in world.done if words[0] == "stop"]


def test_password_that_git_knows_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("secret")
    file.chmod(0o600)
    restic_access.check_password(file)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "password"], cwd=tmp_path, check=True)

    with pytest.raises(ConfigurationError, match="in git"):
        restic_access.check_password(file)


def snapshot(id_: str, *tags: str, **more: Any) -> Mapping[str, Any]:
    run = more.pop("run", RUN)
    return {
        "id": id_,
        "tags": [*restic_sets.tags("trial", run), *tags],
        "time": "2026-11-28T01:23:29Z",
        "tree": "",
        "is_text": bool({"manifest", "record"} & {*tags}),
        **more,
    }


class Kept:
    """A repository in memory: the snapshots of texts, written as a clock says."""

    def __init__(self, manifest: str, run: str) -> None:
        self.now = "2026-11-28T01:23:29Z"
        self.run = run
        self.snapshots = [snapshot("0", "manifest", run=run)]
        self.texts = {"0": manifest}

    def at_repository(self, act: str, **words: Any) -> Any:
        if act == "list":
            texts = {i: t for i, t in self.texts.items() if i not in words["known"]}
            return {"snapshots": self.snapshots, "texts": texts}
        assert act == "write"
        id_ = str(len(self.snapshots))
        self.snapshots.append(snapshot(id_, "record", run=self.run, time=self.now))
        self.texts[id_] = words["text"]
        return {"snapshot": id_}


@pytest.fixture
def kept(stack: StackContext, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """Return a repository with a set that nobody verified yet, of no volumes."""
    folder = stack.root / "folder"
    made = create.take(stack, create.BackupRequest(everything=True, dest=folder))
    assert made is not None
    held = Kept(manifest.written(replace(made, stores=())), made.id)
    monkeypatch.setattr(ResticDestination, "talk", lambda *_: nullcontext(held))
    return held


@pytest.fixture
def near(stack: StackContext) -> ResticDestination:
    address = RepositoryAddress("near", "", stack.root, stack.root / "password")
    return ResticDestination(stack, address)


def test_last_record_counts_whatever_the_clock_says(
    near: ResticDestination, kept: Kept
) -> None:
    """A set that was found damaged is not verified again by a clock of before."""
    kept.now = "2026-12-28T01:23:29Z"
    near.check(near.listed("trial")[0], ())
    assert near.listed("trial")[0].verified
    kept.now = "2026-11-28T02:00:00Z"

    near.note(near.listed("trial")[0], verified=None)

    (found,) = near.listed("trial")
    assert (found.verified, found.written) == (None, False)


@pytest.mark.usefixtures("kept")
def test_record_is_added_to_as_it_is_now(near: ResticDestination) -> None:
    """A drill that finds damage notes it, and then how the drill went."""
    near.check(near.listed("trial")[0], ())
    (before,) = near.listed("trial")

    near.note(before, verified=None)
    near.note(before, drill={"at": "2026-11-28T02:00:00Z", "result": "damaged"})

    (found,) = near.listed("trial")
    assert found.verified is None
    assert found.drill is not None


def test_record_without_a_number_is_older(near: ResticDestination, kept: Kept) -> None:
    """As the version before wrote it, which went by the clock."""
    for time, text in (
        ("2026-12-28T00:00:00Z", '{"verified": null, "number": true}'),
        ("2026-12-29T00:00:00Z", '{"verified": "2026-12-29T00:00:00Z"}'),
    ):
        kept.now = time
        near.write(kept, kept.run, "record", text)  # type: ignore[arg-type]
    assert near.listed("trial")[0].verified
    kept.now = "2026-11-28T02:00:00Z"

    near.note(near.listed("trial")[0], verified=None)

    assert near.listed("trial")[0].verified is None


def test_snapshots_without_a_manifest_are_no_set() -> None:
    """It is written last: what a backup that died has left is listed nowhere."""
    found = [snapshot("a", "data", "notes"), snapshot("b", "record")]

    assert restic_sets.sets("near", "trial", found, {"b": "{}"}) == []


def test_set_whose_snapshot_is_gone_is_named_and_not_verified() -> None:
    found = [snapshot("m", "manifest"), snapshot("r", "record")]
    record = json.dumps({"verified": "2026-11-28T01:24:11+00:00"})

    (listed,) = restic_sets.sets("near", "trial", found, {"m": "{}", "r": record})

    assert listed.fault
    assert (listed.manifest, listed.verified, listed.written) == (None, None, False)


def test_forgotten_are_manifests_first_and_only_what_is_of_no_set() -> None:
    old, other = "20261101T000000Z-0000", "20261128T020000Z-0002"
    found = [
        *(snapshot("d", "data", "notes"), snapshot("m", "manifest")),
        snapshot("e", "data", "notes", run=other),
        snapshot("n", "manifest", run=other),
        snapshot("old", "data", run=old, time="2026-11-01T00:00:00Z"),
        snapshot("new", "data", run="20261128T030000Z-0003"),
    ]
    before = datetime(2026, 11, 27, tzinfo=UTC)

    assert restic_sets.doomed(found, {RUN}, before=before) == [["m"], ["d", "old"]]


def test_lock_of_a_helper_that_died_is_told_from_one_that_is_held(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, two_stores())
    stack = opened(tmp_path, world)
    address = RepositoryAddress("near", "", tmp_path, tmp_path / "password")
    own = helper.host_name(stack, "abc")
    lock = {"hostname": own, "exclusive": True, "time": "2026-11-28T01:23:29Z"}

    assert restic_access.drops(stack, address, [lock])
    with pytest.raises(Locked, match="by elsewhere since 2026-11-28"):
        restic_access.drops(stack, address, [{**lock, "hostname": "elsewhere"}])
    world.there.append(container("helper", labels={helper.HOST_LABEL: own}))
    with pytest.raises(Locked):
        restic_access.drops(stack, address, [lock])
    assert not restic_access.drops(stack, address, [])


def test_destinations_get_one_set_of_one_stop(
    stack: StackContext, world: World
) -> None:
    folders = [stack.root / "one", stack.root / "other"]
    request = create.BackupRequest(everything=True, dest=folders[0], others=folders[1:])

    made = create.take(stack, request)

    assert made is not None
    for folder in folders:
        (kept,) = repository.listed(folder, "trial")
        assert (kept.id, bool(kept.verified)) == (made.id, True)
    assert world.done.count(("stop", "id-memo")) == 1


def test_destination_that_fails_spoils_no_other(
    stack: StackContext, world: World
) -> None:
    broken, good = stack.root / "broken", stack.root / "good"
    broken.write_text("a file")
    request = create.BackupRequest(everything=True, dest=broken, others=[good])

    with pytest.raises(NotEverywhere, match=r"is in .*good, but not in .*broken"):
        create.take(stack, request)

    (kept,) = repository.listed(good, "trial")
    assert kept.verified
    assert {c.state for c in world.there} == {"running"}
    assert not list(stack.root.rglob(".partial-*"))


def _fills_up(
    monkeypatch: pytest.MonkeyPatch, where: object, name: str, folder: Path
) -> None:
    """Let there be no room in *folder* when *name* of *where* writes to it."""
    write = getattr(where, name)

    def full(first: Any, *more: Any, **how: Any) -> Any:
        path = getattr(first, "archive", first)
        if path.is_relative_to(folder):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return write(first, *more, **how)

    monkeypatch.setattr(where, name, full)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("where", "name"),
    [(ArchiveFiles, "make"), (ArchiveFiles, "stored"), (repository, "finish")],
)
def test_destination_that_is_full_spoils_no_other(
    stack: StackContext,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    where: object,
    name: str,
    *,
    first: bool,
) -> None:
    full, good = stack.root / "full", stack.root / "good"
    _fills_up(monkeypatch, where, name, full)
    dest, other = (full, good) if first else (good, full)
    request = create.BackupRequest(everything=True, dest=dest, others=[other])

    with pytest.raises(NotEverywhere, match=r"in .*full: .*No space .*ENOSPC"):
        create.take(stack, request)

    (kept,) = repository.listed(good, "trial")
    assert kept.verified
    assert repository.listed(full, "trial") == []
    assert {c.state for c in world.there} == {"running"}


def test_destination_whose_list_cannot_be_sealed_spoils_no_other(
    stack: StackContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list of files is encrypted while the copy is read back."""
    full, good = stack.root / "full", stack.root / "good"
    _, public = one_time_identity()
    fsync = os.fsync

    def refusing(handle: int) -> None:
        name = str(Path(f"/proc/self/fd/{handle}").readlink())
        if name.startswith(str(full)) and name.endswith(".files.zst.age"):
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refusing)
    request = create.BackupRequest(
        everything=True, dest=full, others=[good], encrypt=[str(public)]
    )

    with pytest.raises(NotEverywhere, match="could not be encrypted"):
        create.take(stack, request)

    assert [bool(kept.verified) for kept in repository.listed(good, "trial")] == [True]


def test_repository_is_refused_what_restic_does_itself(stack: StackContext) -> None:
    near = RepositoryAddress("near", "", stack.root, stack.root / "password")
    request = create.BackupRequest(everything=True, dest=near, gzip=True)

    with pytest.raises(UsageError, match="--gzip is not for the repository near"):
        create.take(stack, request)


def test_set_for_a_network_is_written_here_first(stack: StackContext) -> None:
    """Into a repository that is here anyway, else into one that is made for it."""
    password = stack.root / "password"
    near = RepositoryAddress("near", "", stack.root / "near", password)
    far = RepositoryAddress("far", "rest:https://host/", None, password)
    folder = stack.root / "folder"

    assert fill.staged(stack, [far, folder, near]) == (folder, near)
    written = fill.staged(stack, [far, folder])
    assert written == (folder, fill.staging(stack, far))
    assert fill.staging(stack, far).folder is not None
    assert fill.staged(stack, [folder]) == (folder,)


def test_nothing_is_copied_from_a_repository_that_is_not_there(
    stack: StackContext,
) -> None:
    """As before the first backup: it is said before a helper starts."""
    far = RepositoryAddress("far", "rest:https://host/", None, stack.root / "password")

    with pytest.raises(DataError, match="there is no repository staging of far"):
        fill.fill(stack, fill.staging(stack, far), far)


def test_set_that_no_reader_would_take_gets_no_manifest_in_a_repository(
    stack: StackContext,
) -> None:
    folder = stack.root / "folder"
    made = create.take(stack, create.BackupRequest(everything=True, dest=folder))
    assert made is not None
    near = RepositoryAddress("near", "", stack.root, stack.root / "password")
    late = replace(made, created="1969-01-01T00:00:00+00:00")

    with pytest.raises(DataError, match=r"cannot be kept: .* in the year 1969"):
        ResticSet(ResticDestination(stack, near), made.id).finish(late)


def test_set_whose_snapshot_somebody_forgot_is_damaged(stack: StackContext) -> None:
    """It is named in the list, and no task reads it."""
    folder = stack.root / "folder"
    made = create.take(stack, create.BackupRequest(everything=True, dest=folder))
    assert made is not None
    text = (folder / "trial" / made.id / "manifest.json").read_text()
    found = [snapshot("m", "manifest", run=made.id)]

    (kept,) = restic_sets.sets("near", "trial", found, {"m": text})

    assert kept.fault == "its snapshot of memo_data is missing"
    assert not kept.written
    near = RepositoryAddress("near", "", stack.root, stack.root / "password")
    with pytest.raises(DataError, match="its snapshot of memo_data is missing"):
        ResticDestination(stack, near).check(kept, ())


@pytest.mark.parametrize("kind", ["folder", "binary", "empty", "cut", "a list"])
def test_kept_text_that_cannot_be_believed_is_asked_anew(
    tmp_path: Path, kind: str
) -> None:
    """The file of another user, or what a full disk left of one."""
    cache = restic_sets.Cache(tmp_path / "cache")
    found = [snapshot("m", "manifest"), snapshot("r", "record")]
    cache.filled(found, {"m": "{}", "r": '{"a": 1}'}, {})
    (broken := cache.folder / "m").unlink()
    if kind == "folder":
        broken.mkdir()
    else:
        texts = {"binary": b"\xff\xfe", "empty": b"", "cut": b'{"id', "a list": b"[]"}
        broken.write_bytes(texts[kind])

    known = cache.known()

    assert list(known) == ["r"]
    assert cache.filled(found, {"m": '{"b": 2}'}, known) == {
        "m": '{"b": 2}',
        "r": '{"a": 1}',
    }
    assert kind == "folder" or set(cache.known()) == {"m", "r"}


def test_text_of_a_snapshot_that_is_gone_is_dropped(tmp_path: Path) -> None:
    cache = restic_sets.Cache(tmp_path / "cache")
    found = [snapshot("m", "manifest"), snapshot("r", "record")]
    cache.filled(found, {"m": "{}", "r": "{}"}, {})

    assert cache.filled(found[:1], {}, cache.known()) == {"m": "{}"}
    assert list(cache.known()) == ["m"]
