"""What `init` makes for repositories: their passwords, and the image with restic."""

import secrets
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from compose_ops.backup import helper, restic_access
from compose_ops.backup.addresses import RepositoryAddress, repositories
from compose_ops.config import Config
from compose_ops.console import say
from compose_ops.docker.api import Engine
from compose_ops.project.env_file import write_private
from compose_ops.runtime.setup_step import SetupStep

RANDOM_BYTES = 32


def missing(engine: Engine | None, config: Config, root: Path) -> Iterator[SetupStep]:
    """
    Yield what is still to make for the repositories that `compose-ops.toml` names.

    Raises ConfigurationError for a password that git knows.
    """
    named = repositories(config, root)
    for address in named:
        if address.password.exists():
            restic_access.check_password(address.password)
        else:
            yield SetupStep(
                f"make a password for the repository {address.name}",
                partial(_make, address),
            )
    if named:
        yield from helper.missing_repository(engine, config.backup.helper_base)


def write(file: Path) -> None:
    """Write a new password into a file that is closed to others."""
    write_private(file, secrets.token_urlsafe(RANDOM_BYTES))


def _make(address: RepositoryAddress) -> None:
    file = address.password
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(file)
    say(f"without {file} nobody opens {address.name}; keep a copy of it elsewhere")
