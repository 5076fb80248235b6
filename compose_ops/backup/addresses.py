"""Where destinations are: what `--dest` and `compose-ops.toml` say, made whole."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from compose_ops.backup.ssh_address import SshAddress, server
from compose_ops.config import Config
from compose_ops.config.schema import DestinationTable
from compose_ops.errors import UsageError
from compose_ops.project import secrets
from compose_ops.project.paths import absolute, remote_part, sets_folder

PREFIX = "restic:"
PASSWORD_VARIABLE = "RESTIC_PASSWORD_FILE"  # noqa: S105 - names a variable
BACKENDS = ("rest", "s3", "sftp")
"""What restic reaches over a network, as far as the helper image can."""
KNOWN_HOSTS = "secrets/known_hosts"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class RepositoryAddress:
    """
    A restic repository: `name` is what a person calls it.

    `folder` is where it lies on this machine, None for one behind a network, whose
    `url` is restic's own. `password` and `credentials` are files; `ssh` is how a server
    behind `sftp:` is reached.

    >>> RepositoryAddress("offsite", "s3:https://host/bucket", None, Path("p")).is_local
    False
    """

    name: str
    url: str
    folder: Path | None
    password: Path
    credentials: Path | None = None
    limit_upload: int = 0
    limit_download: int = 0
    ssh: SshAddress | None = None

    @property
    def is_local(self) -> bool:
        return self.folder is not None

    @property
    def options(self) -> list[str]:
        """The options that stand before each of restic's commands."""
        limits = {"upload": self.limit_upload, "download": self.limit_download}
        rates = [f"--limit-{way}={rate}" for way, rate in limits.items() if rate]
        return [*rates, *(self.ssh.options if self.ssh else ())]

    def __str__(self) -> str:
        return self.name


Place: TypeAlias = Path | RepositoryAddress


def place(config: Config, root: Path, dest: str | Path) -> Place:
    """
    Return what a word after `--dest` names.

    `restic:…` is a repository, a word without a slash that `compose-ops.toml` has under
    `[destinations]` is that one, all else a path of the project. UsageError for another
    scheme or machine, and for a repository without a password.
    """
    text = str(dest)
    if isinstance(dest, str) and dest in config.destinations:
        return named(config, root, dest)
    if text.startswith(PREFIX):
        return _anonymous(config, root, text)
    if remote := remote_part(text):
        raise UsageError(
            f"a destination without {PREFIX} is a folder, not {remote}",
            hint=f"--dest {PREFIX}… is a restic repository; a folder with such a name: "
            "./NAME",
        )
    return absolute(root, dest)


def named(config: Config, root: Path, name: str) -> Place:
    """Return a destination of `compose-ops.toml`; UsageError for what is none."""
    table = config.destinations[name]
    if not _NAME.fullmatch(name) or bool(table.folder) == bool(table.repository):
        raise UsageError(
            f"destinations.{name} of compose-ops.toml is no destination",
            hint="it needs a name of letters and digits, and either folder or "
            "repository",
        )
    if table.folder:
        return sets_folder(_base(config, root), table.folder)
    url, folder = _located(
        table.repository, lambda text: sets_folder(_base(config, root), text)
    )
    return RepositoryAddress(
        name=name,
        url=url,
        folder=folder,
        password=_path(config, root, table.password_of(name)),
        credentials=_path(config, root, table.credentials_file)
        if table.credentials_file
        else None,
        limit_upload=table.limit_upload,
        limit_download=table.limit_download,
        ssh=_ssh(url, table, lambda text: _path(config, root, text)),
    )


def _ssh(
    url: str, table: DestinationTable, path: Callable[[str], Path]
) -> SshAddress | None:
    if not url.startswith("sftp:"):
        return None
    return SshAddress(
        *server(url),
        path(table.key_file) if table.key_file else None,
        path(table.known_hosts_file or KNOWN_HOSTS),
    )


def all_named(config: Config, root: Path) -> tuple[Place, ...]:
    """Return every destination of `compose-ops.toml`; UsageError for what is none."""
    return tuple(named(config, root, name) for name in config.destinations)


def repositories(config: Config, root: Path) -> tuple[RepositoryAddress, ...]:
    """Return the repositories that `compose-ops.toml` names."""
    found = all_named(config, root)
    return tuple(one for one in found if isinstance(one, RepositoryAddress))


def _path(config: Config, root: Path, text: str) -> Path:
    return absolute(_base(config, root), text)


def _base(config: Config, root: Path) -> Path:
    return config.folder if config.folder.is_absolute() else root


def _anonymous(config: Config, root: Path, text: str) -> RepositoryAddress:
    url, folder = _located(
        text.removeprefix(PREFIX), lambda path: sets_folder(root, path)
    )
    for known in repositories(config, root):
        if (known.url, known.folder) == (url, folder):
            return known
    password = os.environ.get(PASSWORD_VARIABLE, "")
    if not password:
        raise UsageError(
            f"{text} has no password",
            hint="name it under [destinations] of compose-ops.toml, or give the file "
            f"with the password: {PASSWORD_VARIABLE}",
        )
    file = Path(password).expanduser().resolve()
    secrets.learn_file(file, key=PASSWORD_VARIABLE)
    ssh = _ssh(url, DestinationTable(), lambda path: absolute(root, path))
    return RepositoryAddress(text, url, folder, file, ssh=ssh)


def _located(text: str, path: Callable[[str], Path]) -> tuple[str, Path | None]:
    """Return restic's own url and None, or "" and the folder; UsageError."""
    text = text.removeprefix(PREFIX).removeprefix("local:")
    scheme = _SCHEME.match(text)
    if re.search(r"//[^/@]*:[^/@]*@", text):
        raise UsageError(
            "the repository's address holds a password",
            hint="credentials_file of the destination has lines such as "
            "RESTIC_REST_USERNAME=… and RESTIC_REST_PASSWORD=…",
        )
    if scheme and not text.startswith(("/", ".", "~")):
        if scheme[1] not in BACKENDS:
            raise UsageError(
                f"{text} is no repository that this release reaches",
                hint="one of: a folder, " + ", ".join(f"{b}:" for b in BACKENDS),
            )
        return text, None
    return "", path(text)
