"""
Change the password of a repository, so that no moment is without one that opens it.

The new one is written beside the old one, and seen to open every repository that has
it, before it takes its name. The old one stays as `NAME.old` until it opens none of
them any more: whatever ends the task, the next run goes on from the files.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from compose_ops.backup import fill, helper, passwords, restic_access
from compose_ops.backup.addresses import RepositoryAddress, repositories
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.repository import sync
from compose_ops.backup.restic_access import NotMadeYet
from compose_ops.console import say
from compose_ops.errors import ComposeOpsError, DataError, UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.state.recovery import exclusive


def rotate(stack: StackContext, name: str) -> tuple[str, ...]:
    """
    Give a repository another password; return what was changed, by name.

    Other repositories that have the same file, and the staging one, change with it.
    Raises UsageError for a name that is none, DataError where one of them cannot be
    changed: then the password that the file holds still opens all of them.
    """
    password = _named(stack, name).password
    with exclusive(stack, f"invoke destination --rotate {name}", services=()):
        found = _with_password(stack, password)
        for one in found:
            restic_access.check(stack, one)
        if not stack.dry:
            _rotate(stack, found, password)
    return tuple(map(str, found))


def _rotate(
    stack: StackContext, found: Sequence[RepositoryAddress], password: Path
) -> None:
    new, old = (password.with_name(f"{password.name}.{end}") for end in ("new", "old"))
    if not old.exists():
        if not new.exists():
            passwords.write(new)
        _each(stack, found, new, "add password")
        os.link(password, old)
    if new.exists():
        new.rename(password)
        sync(password.parent)
        say(f"{password} holds the new password; keep a copy of it elsewhere")
    try:
        _each(stack, found, old, "drop password")
    except ComposeOpsError as refused:
        raise DataError(
            f"the new password is in use; the old one still opens: {refused.message}",
            hint="once that is mended, the same command goes on",
        ) from refused
    old.unlink()


def _named(stack: StackContext, name: str) -> RepositoryAddress:
    known = repositories(stack.config, stack.root)
    for address in known:
        if address.name == name:
            return address
    raise UsageError(
        f"there is no repository {name}",
        hint="one of [destinations] in compose-ops.toml: "
        + (", ".join(map(str, known)) or "there is none"),
    )


def _with_password(stack: StackContext, password: Path) -> list[RepositoryAddress]:
    """Return the repositories of the project that a file opens."""
    found = []
    for address in repositories(stack.config, stack.root):
        if address.password != password:
            continue
        found.append(address)
        staging = fill.staging(stack, address)
        if staging.folder and staging.folder.is_dir():
            found.append(staging)
    return found


def _each(
    stack: StackContext, found: Sequence[RepositoryAddress], other: Path, act: str
) -> None:
    for address in found:
        work = HelperJob(
            run="rotate", label=address.name, repository=address, other_password=other
        )
        with (
            suppress(NotMadeYet),
            restic_access.explained(stack, address),
            helper.helper(stack, work) as talk,
        ):
            talk.at_repository(act)
