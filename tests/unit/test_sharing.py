"""What tasks keep is closed to others, or open to the group of a shared folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from backup_steps import opened
from backup_world import World

from compose_ops.backup import encryption, repository, restic_access, restic_sets
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.errors import DataError
from compose_ops.project import env_file, sharing
from compose_ops.state import store

PARTIAL = "p/.partial-20261128T010203Z-0001"


@pytest.fixture(params=[0o000, 0o022, 0o077], autouse=True)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever the user's umask is."""
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(root: Path) -> dict[str, str]:
    found = sorted(root.rglob("*"))
    return {str(p.relative_to(root)): f"{p.stat().st_mode & 0o7777:o}" for p in found}


def keep(folder: Path) -> None:
    """Write what tasks write: state, a set, a file of variables."""
    store.write(folder / "state/engine/one.json", "{}")
    repository.make(folder / "sets" / PARTIAL)
    env_file.write_private(folder / "sets" / PARTIAL / "manifest.json", "{}")
    cache = restic_sets.Cache(folder / "state/repositories/near")
    cache.filled([{"id": "text", "is_text": True}], {"text": "{}"}, {})
    near = RepositoryAddress("near", "", folder / "disk/near", folder / "password")
    restic_access.make_folder(opened(folder, World(folder, {})), near)


def test_nothing_is_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    keep(tmp_path)

    assert modes(tmp_path) == {
        "disk": "700",
        "disk/near": "700",
        "sets": "700",
        "sets/p": "700",
        f"sets/{PARTIAL}": "700",
        f"sets/{PARTIAL}/manifest.json": "600",
        "state": "700",
        "state/engine": "700",
        "state/engine/one.json": "600",
        "state/repositories": "700",
        "state/repositories/near": "700",
        "state/repositories/near/text": "600",
    }


def test_what_lies_in_a_shared_folder_is_its_groups(tmp_path: Path) -> None:
    """Root by a timer and an operator work on the same state and sets."""
    tmp_path.chmod(0o2770)

    keep(tmp_path)

    assert set(modes(tmp_path).values()) == {"2770", "660"}


@pytest.mark.parametrize("mode", [0o2755, 0o770])
def test_half_of_the_sign_shares_nothing(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)

    keep(tmp_path)

    assert set(modes(tmp_path).values()) <= {"700", "2700", "600"}


def test_set_that_a_filesystem_opens_to_others_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As CIFS and FAT do, whose modes are those of the mount."""
    monkeypatch.setattr(Path, "chmod", lambda _path, _mode: None)
    monkeypatch.setattr(sharing, "PRIVATE_FOLDER", 0o755)
    os.umask(0)

    with pytest.raises(DataError, match="keeps no modes: every user of this machine"):
        repository.make(tmp_path / PARTIAL)

    assert not (tmp_path / PARTIAL).exists()
    repository.make(tmp_path / PARTIAL, encrypted=True)


def test_filesystem_without_pipes_is_named() -> None:
    with pytest.raises(DataError, match="a filesystem of proc without named pipes"):
        encryption.make_pipe(Path("/proc/archive.pipe"))


def test_filesystem_of_a_refusal_is_named() -> None:
    with pytest.raises(DataError, match=r"\(a filesystem of the type proc\) cannot"):
        repository.make(Path("/proc/nowhere") / PARTIAL)
