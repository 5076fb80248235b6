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


def folder(world: World, service: str = "memgraph") -> Path:
    return world.root / "certs" / service


def issue(
    world: World,
    service: str = "memgraph",
    *,
    name: str = "",
    begins: datetime = NOW - timedelta(days=400),
    ends: datetime = NOW + timedelta(days=90),
    authority: CA | None = None,
) -> None:
    """Write a service's certificate and key; without *authority* of one all know."""
    known = CA(key_type=KeyType.RSA)
    made = (authority or known).issue_cert(
        name or service, not_before=begins, not_after=ends, key_type=KeyType.RSA
    )
    made.private_key_pem.write_to_path(folder(world, service) / "key.pem")
    (folder(world, service) / "cert.pem").write_bytes(
        b"".join(pem.bytes() for pem in made.cert_chain_pems)
    )
    for place in () if authority else ("app", "eventstore"):
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


@fault(FAULTS, "certificate-valid", "expires on", group="dates")
def certificate_expires_soon(world: World) -> Iterator[None]:
    issue(world, ends=NOW + timedelta(days=10))
    yield


@fault(FAULTS, "certificate-valid", "is not valid before", group="dates")
def certificate_not_valid_yet(world: World) -> Iterator[None]:
    issue(world, "eventstore", begins=NOW + timedelta(days=10))
    yield


@fault(FAULTS, "certificate-pair", "does not belong to the certificate", group="pairs")
def certificate_of_another_key(world: World) -> Iterator[None]:
    other = CA(key_type=KeyType.RSA).issue_cert("memgraph", key_type=KeyType.RSA)
    other.private_key_pem.write_to_path(folder(world) / "key.pem")
    yield


@fault(FAULTS, "certificate-pair", "does not name eventstore", group="pairs")
def certificate_of_another_name(world: World) -> Iterator[None]:
    issue(world, "eventstore", name="elsewhere.example")
    yield


@fault(
    FAULTS,
    "certificate-pair",
    "not signed by the authority of the clients",
    group="authorities",
)
def certificate_of_another_authority(world: World) -> Iterator[None]:
    issue(world, authority=CA(organization_name="nobody", key_type=KeyType.RSA))
    yield


@fault(FAULTS, "certificate-present", "does not exist", group="files")
def certificate_missing(world: World) -> Iterator[None]:
    (folder(world) / "cert.pem").unlink()
    yield


@fault(FAULTS, "certificate-present", "a folder without certificates", group="files")
def trusted_root_missing(world: World) -> Iterator[None]:
    (world.root / "certs/eventstore/ca/ca.crt").unlink()
    yield


@fault(
    FAULTS,
    "certificate-pair",
    "the authority that eventstore trusts",
    group="authorities",
)
def trusted_root_of_another_authority(world: World) -> Iterator[None]:
    other = CA(key_type=KeyType.RSA)
    other.cert_pem.write_to_path(world.root / "certs/eventstore/ca/ca.crt")
    yield


@fault(FAULTS, "certificate-present", "is not a valid certificate", group="files")
def certificate_torn(world: World) -> Iterator[None]:
    torn = "-----BEGIN CERTIFICATE-----\nMIIB\n"
    (folder(world, "eventstore") / "cert.pem").write_text(torn)
    yield


@fault(FAULTS, "key-private", "can read the key", mended=True, group="keys")
def key_world_readable(world: World) -> Iterator[None]:
    (folder(world) / "key.pem").chmod(0o444)
    yield


@fault(FAULTS, "key-private", "cannot read its key", mended=True, group="keys")
def key_owned_wrongly(world: World) -> Iterator[None]:
    key = folder(world, "eventstore") / "key.pem"
    os.chown(key, 4711, 4711)
    key.chmod(0o400)
    yield
