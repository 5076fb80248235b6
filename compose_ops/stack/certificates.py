"""A private authority and certificates for a trial of production."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from compose_ops.errors import ConfigurationError
from compose_ops.project.paths import CERTIFICATES

VALID_DAYS = 397
PUBLIC_FILE, PRIVATE_FILE, FOLDER = 0o644, 0o400, 0o755

Own = Callable[[Sequence[tuple[Path, int, int]]], None]


@dataclass(frozen=True, slots=True)
class Server:
    """
    A service that speaks TLS: the user of its image, and the name in its certificate.

    Users are facts of the images memgraph/memgraph-mage and eventstore/eventstore;
    EventStore takes a node's certificate only under its reserved common name.
    """

    name: str
    uid: int
    gid: int
    common_name: str
    authority: str = ""


SERVERS = (
    Server("memgraph", uid=101, gid=103, common_name="memgraph"),
    Server("eventstore", 1000, 1000, "eventstoredb-node", authority="ca/ca.crt"),
)
CLIENT_FILE = "app/ca.pem"


def files(root: Path) -> tuple[Path, ...]:
    """Return every file of a complete set, in the order in which it is written."""
    folder = root / CERTIFICATES
    return tuple(_files(folder))


def steps(root: Path, own: Own) -> Iterator[tuple[str, Callable[[], object]]]:
    """
    Yield what is still to do: nothing, or the whole set at once.

    Raises ConfigurationError for a set of which only a part is there: nothing that
    exists is written over. *own* gives files to the users of the services.
    """
    wanted = files(root)
    there = [path for path in wanted if os.path.lexists(path)]
    if not there:
        names = ", ".join(server.name for server in SERVERS)
        what = (
            f"make a private authority and certificates for {names} (a trial: "
            f"valid {VALID_DAYS} days, the authority's key is not kept)"
        )
        yield what, lambda: make(root, own)
    elif len(there) < len(wanted):
        lacking = next(path for path in wanted if path not in there)
        raise ConfigurationError(
            f"{CERTIFICATES}/ has {there[0].relative_to(root)} but not "
            f"{lacking.relative_to(root)}: nothing was written over it",
            hint="add what lacks (docs/production.md), or move the folder's content "
            "away for a new set",
        )


def make(root: Path, own: Own) -> None:
    """Write a new authority's certificate, and a key and certificate per server."""
    from trustme import CA, KeyType

    authority = CA(organization_name="JimBot Stack trial", key_type=KeyType.RSA)
    public = authority.cert_pem.bytes()
    folder = root / CERTIFICATES
    keys = []
    for server in SERVERS:
        issued = authority.issue_cert(
            server.name,
            "localhost",
            "127.0.0.1",
            common_name=server.common_name,
            organization_name="JimBot Stack trial",
            not_after=datetime.now(UTC) + timedelta(days=VALID_DAYS),
            key_type=KeyType.RSA,
        )
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        _write(folder / server.name / "cert.pem", chain, PUBLIC_FILE)
        key = folder / server.name / "key.pem"
        _write(key, issued.private_key_pem.bytes(), PRIVATE_FILE)
        keys.append((key, server.uid, server.gid))
        if server.authority:
            _write(folder / server.name / server.authority, public, PUBLIC_FILE)
    _write(folder / CLIENT_FILE, public, PUBLIC_FILE)
    # Last: what it cannot do can be done by hand, to a set that is whole.
    own(keys)


def _files(folder: Path) -> Iterator[Path]:
    for server in SERVERS:
        yield folder / server.name / "cert.pem"
        yield folder / server.name / "key.pem"
        if server.authority:
            yield folder / server.name / server.authority
    yield folder / CLIENT_FILE


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet; containers' users enter its folders."""
    top = next(p for p in path.parents if p.name == CERTIFICATES)
    path.parent.mkdir(parents=True, exist_ok=True)
    for parent in [p for p in path.parents if p.is_relative_to(top)]:
        parent.chmod(FOLDER)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
