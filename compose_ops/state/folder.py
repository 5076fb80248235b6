"""
Where the state of a project lies: `.compose-ops/ENGINE/PROJECT/` of its checkout.

The version before had another folder. Tasks that only read take what is there; the
first task that changes something moves it.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from compose_ops.errors import DataError
from compose_ops.project.compat import old_name
from compose_ops.project.paths import STATE
from compose_ops.state import store

IGNORE = ".gitignore"


def of(root: Path, engine_id: str, project: str) -> Path:
    """Return the folder of a project's state on an engine; it may not exist yet."""
    new = _new(root, engine_id, project)
    old = _old(root, engine_id, project)
    return old if _is_there(old) and not _is_there(new) else new


def prepare(root: Path, engine_id: str, project: str) -> bool:
    """
    Make the folder, and move there what the version before kept; say whether it did.

    Other projects keep theirs until their own turn: a task of the version before may
    be at work there. Raises DataError where both versions keep state of this project.
    """
    new, old = _new(root, engine_id, project), _old(root, engine_id, project)
    moved = False
    try:
        if old.is_dir() and new.exists():
            raise DataError(
                f"{old} and {new} both hold state of {project}: the version before "
                "was used after this one",
                hint=f"keep the one that is right: mv {old} {old}.aside",
            )
        if old.is_dir():
            _move(root, old, new)
            moved = True
        store.make_folder(new)
        ignore(root)
    except PermissionError as refused:
        raise store.closed(Path(str(refused.filename or root / STATE))) from refused
    except OSError as refused:
        raise DataError(
            f"the state of {project} cannot be moved to {new}: {refused.strerror}",
            hint="make room or repair the disk, then run this again",
        ) from refused
    return moved


def ignore(root: Path) -> None:
    """Keep the state of a checkout out of its repository."""
    if not (root / STATE / IGNORE).exists():
        store.write(root / STATE / IGNORE, "*\n")


def _move(root: Path, old: Path, new: Path) -> None:
    """Rename a project's folder, and remove what is empty or of no use without it."""
    store.make_folder(new.parent)
    old.rename(new)
    store.sync(new.parent)
    store.sync(old.parent)
    top = root / old_name("state", "folder")
    with suppress(OSError):
        old.parent.rmdir()
        if {path.name for path in top.iterdir()} <= {old_name("state", "cache")}:
            shutil.rmtree(top)


def _is_there(path: Path) -> bool:
    """Say whether a folder is there; one that is closed to this user is."""
    try:
        return path.exists()
    except PermissionError:
        return True


def _new(root: Path, engine_id: str, project: str) -> Path:
    return root / STATE / _engine(engine_id) / project


def _old(root: Path, engine_id: str, project: str) -> Path:
    return root / old_name("state", "folder") / _engine(engine_id) / project


def _engine(engine_id: str) -> str:
    return engine_id.replace(":", "")[:12]
