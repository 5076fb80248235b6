"""Which destination a word names, and what the snapshots of a repository say."""

import json
import subprocess
from collections.abc import Mapping
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
    repository,
    restic_access,
    restic_sets,
)
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.restic_destination import ResticDestination
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
    for name in tables:
        with pytest.raises((ConfigurationError, UsageError)):
            addresses.named(known, tmp_path, name)
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
