"""What a user is told of an exception that nobody raised on purpose."""

import errno

import pytest

from compose_ops.library.faults import described


@pytest.mark.parametrize("folder", [".compose-ops", ".state"])
def test_state_that_is_closed_can_be_made_ones_own(folder: str) -> None:
    path = f"/srv/shop/{folder}/journals/backup.json"

    found = described(PermissionError(errno.EACCES, "Permission denied", path))

    assert path in found.message
    assert "sudo chown" in found.hint
    assert folder in found.hint


@pytest.mark.parametrize("path", ["/mnt/nas/sets of shop", "/srv/shop/.env"])
def test_another_path_that_is_closed_is_only_looked_at(path: str) -> None:
    """Nothing of the state would be mended by that, and a chown may break another."""
    found = described(PermissionError(errno.EACCES, "Permission denied", path))

    assert path in found.message
    assert "ls -ld" in found.hint
    assert path in found.hint
    assert "chown" not in found.hint
