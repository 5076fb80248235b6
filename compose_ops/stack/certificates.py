"""A private authority and certificates for a trial of production."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from compose_ops.config import CertificatesTable, Config
from compose_ops.errors import ConfigurationError, needs_extra

VALID_DAYS = 397
PUBLIC_FILE, PRIVATE_FILE, FOLDER = 0o644, 0o400, 0o755

MAKING, WHOLE = ".making.partial", ".made.partial"
"""Folders beside the final ones: a set that is being made, one that is complete."""

Owner = tuple[Path, int, int]
Own = Callable[[Sequence[Owner]], None]


def files(config: Config) -> tuple[Path, ...]:
    """Return every file of a complete set, in the order in which it is written."""
    wanted = config.init.certificates
    return tuple(_files(config.path(wanted.folder), wanted))


def steps(config: Config, own: Own) -> Iterator[tuple[str, Callable[[], object]]]:
    """
    Yield what is still to do: the whole set at once, or what an ended run left to do.

    Raises ConfigurationError for a set of which only a part is there: nothing that
    exists is written over. *own* gives files to the users of the services.
    """
    wanted, table = files(config), config.init.certificates
    folder = config.path(table.folder)
    there = [path for path in wanted if os.path.lexists(path)]
    if not wanted:
        return
    if (folder / MAKING).exists():
        yield (
            "remove the certificates that an interrupted run had not finished",
            partial(shutil.rmtree, folder / MAKING),
        )
    if (folder / WHOLE).exists():
        _refuse_mixture(config, folder)
        yield (
            "put the certificates of an interrupted run in their places",
            lambda: _put(folder, table, own),
        )
    elif not there:
        names = ", ".join(table.servers)
        what = (
            f"make a private authority and certificates for {names} (a trial: "
            f"valid {VALID_DAYS} days, the authority's key is not kept)"
        )
        yield what, lambda: make(folder, table, own)
    elif len(there) < len(wanted):
        _refuse_part(config, there, wanted)
    else:
        yield from _completing(folder, table, wanted, own)


def _refuse_part(config: Config, there: Sequence[Path], wanted: Sequence[Path]) -> None:
    table, top = config.init.certificates, config.folder
    lacking = next(path for path in wanted if path not in there)
    raise ConfigurationError(
        f"{table.folder}/ has {there[0].relative_to(top)} but not "
        f"{lacking.relative_to(top)}: nothing was written over it",
        hint="add what lacks (docs/production.md), or move the folder's content "
        "away for a new set",
    )


def _refuse_mixture(config: Config, folder: Path) -> None:
    """Raise ConfigurationError where a place of an unplaced file was taken since."""
    for path in _unplaced(folder):
        if os.path.lexists(final := folder / path.relative_to(folder / WHOLE)):
            raise ConfigurationError(
                f"{final.relative_to(config.folder)} was written while init made one",
                hint=f"remove {(folder / WHOLE).relative_to(config.folder)}, or move "
                "the folder's other content away",
            )


def _completing(
    folder: Path, table: CertificatesTable, wanted: Sequence[Path], own: Own
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what lets the services read a set that is complete; no content changes."""
    keys = [key for key in _keys(folder, table) if key[0].exists()]
    private = {path for path, _, _ in keys}
    closed = [p for p in wanted if p.exists() and p not in private and _is_closed(p)]
    if closed:
        yield (
            f"make {len(closed)} certificates readable to the containers' users",
            partial(_open, closed),
        )
    if foreign := [key for key in keys if not _may_read(*key)]:
        names = ", ".join(path.parent.name for path, _, _ in foreign)
        yield f"give the keys of {names} to the services' users", lambda: own(foreign)


def _is_closed(path: Path) -> bool:
    """Say whether this user owns a file that others may not read."""
    found = path.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & 0o004


def _open(paths: Sequence[Path]) -> None:
    for path in paths:
        path.chmod(PUBLIC_FILE)


def _may_read(path: Path, uid: int, gid: int) -> bool:
    """Say whether the modes of a file let a user read it."""
    found = path.stat()
    if found.st_uid == uid:
        return bool(found.st_mode & 0o400)
    return bool(found.st_mode & (0o040 if found.st_gid == gid else 0o004))


def make(folder: Path, table: CertificatesTable, own: Own) -> None:
    """
    Write a new authority's certificate, and a key and certificate per server.

    They are written elsewhere and get their places when the set is complete.
    """
    try:
        _issue(folder / MAKING, table)
        (folder / MAKING).rename(folder / WHOLE)
    except BaseException:
        shutil.rmtree(folder / MAKING, ignore_errors=True)
        raise
    _put(folder, table, own)


def _issue(folder: Path, table: CertificatesTable) -> None:
    with needs_extra("certificates"):
        from trustme import CA, KeyType

    authority = CA(organization_name=table.organization, key_type=KeyType.RSA)
    public = authority.cert_pem.bytes()
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
        key = issued.private_key_pem.bytes()
        _write(folder / name / "cert.pem", chain, PUBLIC_FILE)
        _write(folder / name / "key.pem", key, PRIVATE_FILE)
        if server.authority:
            _write(folder / name / server.authority, public, PUBLIC_FILE)
    if table.client:
        _write(folder / table.client, public, PUBLIC_FILE)


def _put(folder: Path, table: CertificatesTable, own: Own) -> None:
    """Give a complete set its places, then its keys to their services."""
    for path in _unplaced(folder):
        final = folder / path.relative_to(folder / WHOLE)
        final.parent.mkdir(parents=True, exist_ok=True)
        for parent in [p for p in final.parents if p.is_relative_to(folder)]:
            parent.chmod(FOLDER)
        path.rename(final)
    shutil.rmtree(folder / WHOLE)
    # Last: what it cannot do can be done by hand, to a set that is whole.
    own(_keys(folder, table))


def _unplaced(folder: Path) -> list[Path]:
    """Return the files of a complete set that have no place yet."""
    return sorted(p for p in (folder / WHOLE).rglob("*") if not p.is_dir())


def _keys(folder: Path, table: CertificatesTable) -> list[Owner]:
    return [(folder / n / "key.pem", s.uid, s.gid) for n, s in table.servers.items()]


def _files(folder: Path, table: CertificatesTable) -> Iterator[Path]:
    for name, server in table.servers.items():
        yield folder / name / "cert.pem"
        yield folder / name / "key.pem"
        if server.authority:
            yield folder / name / server.authority
    if table.servers and table.client:
        yield folder / table.client


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet, in a folder that is closed to others."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)
        os.fsync(file.fileno())
