"""
Faults of production's certificates and keys.

One repair renews the set whatever is wrong with it, and restarts what uses it: it is
run for one of them.
"""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from doctor_world import Fault, World, fault
from trustme import CA, KeyType

NOW = datetime.now(UTC)

FAULTS: list[Fault] = []


def folder(world: World) -> Path:
    return world.root / "certs/memgraph"


def issue(
    world: World,
    name: str = "memgraph",
    *,
    begins: datetime = NOW - timedelta(days=400),
    ends: datetime = NOW + timedelta(days=90),
    authority: CA | None = None,
) -> None:
    """Write a certificate and its key for Memgraph; the clients know its authority."""
    known = CA(key_type=KeyType.RSA)
    made = (authority or known).issue_cert(
        name, not_before=begins, not_after=ends, key_type=KeyType.RSA
    )
    made.private_key_pem.write_to_path(folder(world) / "key.pem")
    (folder(world) / "cert.pem").write_bytes(
        b"".join(pem.bytes() for pem in made.cert_chain_pems)
    )
    for place in ("app", "eventstore"):
        for file in (world.root / "certs" / place).glob("ca*"):
            if file.is_file():
                known.cert_pem.write_to_path(file)


@fault(FAULTS, "certificate-valid", "expired on", mended=True)
def certificate_expired(world: World) -> Iterator[None]:
    """Let a certificate end; what runs uses the new one after the repair."""
    issue(world, ends=NOW - timedelta(days=3))
    yield
    inside = world.scenario.execute("memgraph", "cat", "/certs/cert.pem")
    assert inside.strip() == (folder(world) / "cert.pem").read_text().strip()


@fault(FAULTS, "certificate-valid", "expires on")
def certificate_expires_soon(world: World) -> Iterator[None]:
    issue(world, ends=NOW + timedelta(days=10))
    yield


@fault(FAULTS, "certificate-valid", "is not valid before")
def certificate_not_valid_yet(world: World) -> Iterator[None]:
    issue(world, begins=NOW + timedelta(days=10))
    yield


@fault(FAULTS, "certificate-pair", "does not belong to the certificate")
def certificate_of_another_key(world: World) -> Iterator[None]:
    other = CA(key_type=KeyType.RSA).issue_cert("memgraph", key_type=KeyType.RSA)
    other.private_key_pem.write_to_path(folder(world) / "key.pem")
    yield


@fault(FAULTS, "certificate-pair", "does not name memgraph")
def certificate_of_another_name(world: World) -> Iterator[None]:
    issue(world, "elsewhere.example")
    yield


@fault(FAULTS, "certificate-pair", "not signed by the authority")
def certificate_of_another_authority(world: World) -> Iterator[None]:
    issue(world, authority=CA(organization_name="nobody", key_type=KeyType.RSA))
    yield


@fault(FAULTS, "certificate-present", "does not exist")
def certificate_missing(world: World) -> Iterator[None]:
    (folder(world) / "cert.pem").unlink()
    yield


@fault(FAULTS, "certificate-present", "a folder without certificates")
def trusted_root_missing(world: World) -> Iterator[None]:
    (world.root / "certs/eventstore/ca/ca.crt").unlink()
    yield


@fault(FAULTS, "certificate-pair", "the authority that eventstore trusts")
def trusted_root_of_another_authority(world: World) -> Iterator[None]:
    other = CA(key_type=KeyType.RSA)
    other.cert_pem.write_to_path(world.root / "certs/eventstore/ca/ca.crt")
    yield


@fault(FAULTS, "certificate-present", "is not a valid certificate")
def certificate_torn(world: World) -> Iterator[None]:
    (folder(world) / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n")
    yield


@fault(FAULTS, "key-private", "can read the key", mended=True)
def key_world_readable(world: World) -> Iterator[None]:
    (folder(world) / "key.pem").chmod(0o444)
    yield


@fault(FAULTS, "key-private", "cannot read its key", mended=True)
def key_owned_wrongly(world: World) -> Iterator[None]:
    os.chown(folder(world) / "key.pem", 4711, 4711)
    (folder(world) / "key.pem").chmod(0o400)
    yield
