"""Change which passwords open a repository: each is a key of restic's."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from volume_helper.failure import Failed
from volume_helper.keeping import PATIENCE
from volume_helper.restic import Restic

OTHER = Path(os.environ.get("COMPOSE_OPS_OTHER_PASSWORD", "/other-password"))


def added(restic: Restic) -> dict[str, Any]:
    """
    Let the other password open the repository, too, and see that it does.

    Nothing changes where it does already. Raises Failed.
    """
    other = _with_other(restic)
    try:
        _own_key(other)
    except Failed as failed:
        if failed.kind != "password":
            raise
        restic.quiet("key", "add", PATIENCE, f"--new-password-file={OTHER}")
        _own_key(other)
    return {}


def dropped(restic: Restic) -> dict[str, Any]:
    """
    Let the other password open the repository no more; keys of others stay.

    Nothing changes where it opens it no more already. Raises Failed.
    """
    try:
        doomed = _own_key(_with_other(restic))
    except Failed as failed:
        if failed.kind != "password":
            raise
        return {}
    if doomed == _own_key(restic):
        raise Failed("the new password is the one that is to go")
    restic.quiet("key", "remove", PATIENCE, doomed)
    return {}


def _with_other(restic: Restic) -> Restic:
    return replace(restic, password=OTHER)


def _own_key(restic: Restic) -> str:
    """Return the id of the key that the password of *restic* opens."""
    found = restic.answer("key", "list", "--no-lock")
    return str(next(one["id"] for one in found if one["current"]))
