"""A repository behind `sftp:`: its server, and how ssh may speak to it."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from compose_ops.errors import UsageError

PORT = 22
KEY, KNOWN_HOSTS = "/key", "/known_hosts"
"""Where a helper has the files that are named here."""

# No configuration and no agent of anybody's: what is stated is all that counts.
OPTIONS = (
    *("-F", "none", "-o", "BatchMode=yes", "-o", "IdentityAgent=none"),
    *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={KNOWN_HOSTS}"),
    *("-o", "GlobalKnownHostsFile=none", "-o", "UpdateHostKeys=no"),
    *("-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15"),
    *("-o", "IdentitiesOnly=yes", "-i", KEY),
)
_SHORT = re.compile(r"sftp:(?:[^@/\s]+@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^:/@\s[]+):\S+")


@dataclass(frozen=True, slots=True)
class SshAddress:
    """
    A server, the private key that opens it, and the host keys that were confirmed.

    `key` is None where none was named.
    """

    host: str
    port: int
    key: Path | None
    known_hosts: Path

    @property
    def pattern(self) -> str:
        """The name of the server in a file of host keys, as sshd(8) has it."""
        return self.host if self.port == PORT else f"[{self.host}]:{self.port}"

    @property
    def options(self) -> list[str]:
        """The options by which restic runs ssh."""
        return ["-o", f"sftp.args={' '.join(OPTIONS)}"]

    @property
    def confirmed(self) -> tuple[str, ...]:
        """The lines of the file that are about this server."""
        if not self.known_hosts.is_file():
            return ()
        lines = self.known_hosts.read_text(errors="replace").splitlines()
        return tuple(line for line in lines if line.split(" ")[0] == self.pattern)


def server(url: str) -> tuple[str, int]:
    """
    Return host and port of restic's `sftp:` url; UsageError for what is none.

    >>> server("sftp:me@backups.example:/srv/shop")
    ('backups.example', 22)
    >>> server("sftp://me@backups.example:2222//srv/shop")
    ('backups.example', 2222)
    """
    if short := _SHORT.fullmatch(url):
        return short["host"].strip("[]"), PORT
    try:
        found = urlsplit(url)
        host, port = found.hostname, found.port or PORT
    except ValueError:
        host, port = None, PORT
    if not url.startswith("sftp://") or not host or len(found.path) < 2:  # noqa: PLR2004
        raise UsageError(
            f"{url} is no address of a repository",
            hint="sftp:USER@HOST:/FOLDER, or with a port sftp://USER@HOST:PORT//FOLDER",
        )
    return host, port
