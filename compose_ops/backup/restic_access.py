"""Reach a restic repository: its password, its locks, and what its refusals mean."""

import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compose_ops.backup import destinations, helper
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.damage import NotReached
from compose_ops.backup.helper import HOST_LABEL, HelperRefusal
from compose_ops.backup.ssh_address import SshAddress
from compose_ops.errors import ConfigurationError, DataError, Locked
from compose_ops.project import sharing
from compose_ops.project.paths import CONFIG_FILE
from compose_ops.runtime.context import StackContext

CLOSED = 0o077
SECONDS_OF_GIT = 10


class NotMadeYet(DataError):  # noqa: N818 - names a state
    """A repository that no backup was written to."""


def check(stack: StackContext, address: RepositoryAddress) -> None:
    """
    Raise ConfigurationError for a repository that cannot be reached from here.

    A helper on another machine has no folder of this one and none of its files.
    """
    if not stack.engine.endpoint().is_local:
        raise ConfigurationError(
            f"{address.name} is a repository, and the engine is on another machine",
            hint="name a folder: --dest DIR",
        )
    check_password(address.password)
    if address.ssh:
        check_ssh(address, address.ssh)
    helper.require_repository(stack)


def check_password(file: Path) -> None:
    """Raise ConfigurationError for a password that is missing, open or in git."""
    _check_secret(
        file,
        "the repository's password",
        missing="invoke init makes one for a new repository; for one that is there "
        "write its password into that file",
        known="change the password with invoke destination --rotate NAME",
    )


def check_ssh(address: RepositoryAddress, ssh: SshAddress) -> None:
    """Raise ConfigurationError without a closed key, or without confirmed host keys."""
    if ssh.key is None:
        raise ConfigurationError(
            f"the repository {address.name} is behind ssh, and no key is named",
            hint=f"key_file under [destinations] of {CONFIG_FILE} names the file of a "
            "private key",
        )
    _check_secret(
        ssh.key,
        "the private key",
        missing=f"ssh-keygen -t ed25519 -N '' -f {shlex.quote(str(ssh.key))} makes "
        "one; its public half belongs into authorized_keys on the server",
        known="make another key: whoever has the history has this one",
    )
    if not ssh.confirmed:
        raise ConfigurationError(
            f"no host key of {ssh.pattern} was confirmed yet",
            hint=f"invoke destination --trust {ssh.host} shows what the server has",
        )


def _check_secret(file: Path, what: str, *, missing: str, known: str) -> None:
    if not file.is_file():
        raise ConfigurationError(f"{what} is missing: {file}", hint=missing)
    if file.stat().st_mode & CLOSED:
        raise ConfigurationError(
            f"{what} is open to others: {file}",
            hint=f"chmod 600 {shlex.quote(str(file))}",
        )
    if is_known_to_git(file):
        raise ConfigurationError(
            f"{what} is in git: {file}",
            hint=f"git rm --cached {shlex.quote(str(file))}; {known}",
        )


def is_known_to_git(file: Path) -> bool:
    """Say whether git tracks a file; False where there is no git."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "--error-unmatch", "--", file.name],
            cwd=file.parent,
            capture_output=True,
            check=False,
            timeout=SECONDS_OF_GIT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def had_sets(stack: StackContext, address: RepositoryAddress) -> bool:
    """Say whether sets were written to the repository, as far as is remembered."""
    return bool(destinations.newest_set(stack.state, address))


def gone(address: RepositoryAddress) -> DataError:
    return DataError(
        f"the repository {address.name} is gone: sets were written to it",
        hint="is its disk mounted? Bring it back, or name a new one under "
        "[destinations] of compose-ops.toml",
    )


def make_folder(stack: StackContext, address: RepositoryAddress) -> None:
    """
    Make the folder of a local repository, closed to others (see `sharing`).

    DataError where that fails, and where sets were in a folder that is not there.
    """
    if address.folder is None or address.folder.is_dir():
        return
    if had_sets(stack, address):
        raise gone(address)
    try:
        sharing.make_folder(address.folder)
    except OSError as refused:
        raise DataError(
            f"{address.folder} cannot be made: {refused.strerror}",
            hint="name another folder for the repository",
        ) from refused


def drops(
    stack: StackContext, address: RepositoryAddress, locks: Sequence[Mapping[str, Any]]
) -> bool:
    """
    Say whether all *locks* are of helpers of this engine that have ended.

    Raises Locked where one stands in the way that somebody may hold.
    """
    own = helper.host_name(stack)
    living = {c.labels.get(HOST_LABEL) for c in stack.engine.containers()}
    held = [
        lock
        for lock in locks
        if not str(lock.get("hostname")).startswith(own)
        or lock.get("hostname") in living
    ]
    for lock in held:
        if lock.get("exclusive"):
            raise _locked(address, f" by {lock['hostname']} since {lock['time']:.19}")
    return bool(locks) and not held


def _locked(address: RepositoryAddress, by: str) -> Locked:
    return Locked(
        f"the repository {address.name} is locked{by}",
        hint="wait until that has ended; restic unlock removes the lock of a program "
        "that died on another machine",
    )


@contextmanager
def explained(stack: StackContext, address: RepositoryAddress) -> Iterator[None]:
    """Say of what restic refuses in the block what it means, and its repair."""
    try:
        yield
    except HelperRefusal as refused:
        if refused.kind == "password":
            raise NotReached(
                f"the password of the repository {address.name} is wrong",
                hint=f"write the right one into {address.password}",
            ) from refused
        if refused.kind == "unreachable":
            raise NotReached(
                f"the server of the repository {address.name} does not answer",
                hint="is it running, and reachable from this machine? invoke copy "
                "sends later what is missing",
                detail=refused.message,
            ) from refused
        if refused.kind == "credentials":
            raise NotReached(
                f"the server of the repository {address.name} refuses the credentials",
                hint=f"{address.credentials or 'credentials_file of the destination'} "
                "has lines such as AWS_ACCESS_KEY_ID=… and AWS_SECRET_ACCESS_KEY=…",
                detail=refused.message,
            ) from refused
        if refused.kind == "locked":
            raise _locked(address, "") from refused
        if address.ssh and refused.kind in {"host key", "login"}:
            raise _refused_by_ssh(address, address.ssh, refused.kind) from refused
        if refused.kind == "missing" and had_sets(stack, address):
            raise gone(address) from refused
        if refused.kind == "missing":
            raise NotMadeYet(
                f"there is no repository {address.name} yet",
                hint="invoke backup makes it",
            ) from refused
        raise


def _refused_by_ssh(
    address: RepositoryAddress, ssh: SshAddress, kind: str
) -> NotReached:
    if kind == "host key":
        return NotReached(
            f"the server of the repository {address.name} has another host key than "
            "the one that was confirmed",
            hint="ask who runs it whether the key was changed; then "
            f"invoke destination --trust {ssh.host}",
        )
    return NotReached(
        f"the server of the repository {address.name} does not take the key {ssh.key}",
        hint=f"its public half belongs into authorized_keys there: ssh-keygen -y -f "
        f"{shlex.quote(str(ssh.key))} prints it",
    )
