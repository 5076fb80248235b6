"""A private authority and certificates for a trial of production."""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from compose_ops.config import CertificatesTable, Config
from compose_ops.errors import ConfigurationError, needs_extra

VALID_DAYS = 397
PUBLIC_FILE, PRIVATE_FILE, FOLDER = 0o644, 0o400, 0o755

Own = Callable[[Sequence[tuple[Path, int, int]]], None]


def files(config: Config) -> tuple[Path, ...]:
    """Return every file of a complete set, in the order in which it is written."""
    wanted = config.init.certificates
    return tuple(_files(config.path(wanted.folder), wanted))


def steps(config: Config, own: Own) -> Iterator[tuple[str, Callable[[], object]]]:
    """
    Yield what is still to do: nothing, or the whole set at once.

    Raises ConfigurationError for a set of which only a part is there: nothing that
    exists is written over. *own* gives files to the users of the services.
    """
    wanted, table, top = files(config), config.init.certificates, config.folder
    there = [path for path in wanted if os.path.lexists(path)]
    if not wanted:
        return
    if not there:
        names = ", ".join(table.servers)
        what = (
            f"make a private authority and certificates for {names} (a trial: "
            f"valid {VALID_DAYS} days, the authority's key is not kept)"
        )
        yield what, lambda: make(config.path(table.folder), table, own)
    elif len(there) < len(wanted):
        lacking = next(path for path in wanted if path not in there)
        raise ConfigurationError(
            f"{table.folder}/ has {there[0].relative_to(top)} but not "
            f"{lacking.relative_to(top)}: nothing was written over it",
            hint="add what lacks (docs/production.md), or move the folder's content "
            "away for a new set",
        )


def make(folder: Path, table: CertificatesTable, own: Own) -> None:
    """Write a new authority's certificate, and a key and certificate per server."""
    with needs_extra("certificates"):
        from trustme import CA, KeyType

    authority = CA(organization_name=table.organization, key_type=KeyType.RSA)
    public = authority.cert_pem.bytes()
    keys = []
    for name, server in table.servers.items():
        issued = authority.issue_cert(
            name,
            "localhost",
            "127.0.0.1",
            common_name=server.common_name or name,
            organization_name=table.organization,
            not_after=datetime.now(UTC) + timedelta(days=VALID_DAYS),
            key_type=KeyType.RSA,
        )
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        _write(folder, f"{name}/cert.pem", chain, PUBLIC_FILE)
        key = folder / name / "key.pem"
        _write(folder, f"{name}/key.pem", issued.private_key_pem.bytes(), PRIVATE_FILE)
        keys.append((key, server.uid, server.gid))
        if server.authority:
            _write(folder, f"{name}/{server.authority}", public, PUBLIC_FILE)
    if table.client:
        _write(folder, table.client, public, PUBLIC_FILE)
    # Last: what it cannot do can be done by hand, to a set that is whole.
    own(keys)


def _files(folder: Path, table: CertificatesTable) -> Iterator[Path]:
    for name, server in table.servers.items():
        yield folder / name / "cert.pem"
        yield folder / name / "key.pem"
        if server.authority:
            yield folder / name / server.authority
    if table.servers and table.client:
        yield folder / table.client


def _write(top: Path, name: str, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet; containers' users enter its folders."""
    path = top / name
    path.parent.mkdir(parents=True, exist_ok=True)
    for parent in [p for p in path.parents if p.is_relative_to(top)]:
        parent.chmod(FOLDER)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
