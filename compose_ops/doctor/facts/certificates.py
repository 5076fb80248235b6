"""Facts of the certificates and keys that services are told to use."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any

from compose_ops.doctor.facts.secret_files import FileFacts, inspect_file
from compose_ops.doctor.registry import NotMeasuredError, fact
from compose_ops.project.model import Model
from compose_ops.runtime.engine_location import EngineLocation

KINDS = frozenset({".pem", ".crt", ".cer", ".key"})
FOLDER_WORDS = frozenset({"trusted", "certificates"})
"""Words of a setting that names a folder of certificates, not any other folder."""

_FLAG = re.compile(r"--([a-z0-9-]+)=(/\S+)")


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certificate states; `key` is its public key, `signature` who signed it."""

    begins: datetime
    ends: datetime
    names: tuple[str, ...]
    key: bytes
    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """
    A file that a service is told to use: a certificate, a key or an authority.

    `setting` is the variable or flag that names it; `fault` says why a file that is
    there cannot be read as what it should be; `key` is the public key of a key's file.
    """

    service: str
    setting: str
    role: str
    file: FileFacts
    certificate: Certificate | None = None
    key: bytes = b""
    fault: str = ""
    chain: tuple[Certificate, ...] = field(default=())


@fact(limit=2)
def now() -> datetime:
    """Return the moment that certificates are judged at."""
    return datetime.now(UTC)


@fact(limit=10)
def certificate_files(
    model: Model, wanted: tuple[str, ...], shared: EngineLocation
) -> tuple[CertificateFile, ...]:
    """Return the certificates, keys and authorities named by flags and variables."""
    del shared
    named = [
        (service, setting, path)
        for service in wanted
        for setting, path in named_files(model.service(service))
    ]
    if named and find_spec("cryptography") is None:
        raise NotMeasuredError(
            "to read certificates: pip install 'compose-ops[certificates]'"
        )
    return tuple(read(*one) for one in named)


def named_files(service: Mapping[str, Any]) -> Iterator[tuple[str, Path]]:
    """
    Yield each setting that names such a file of this machine, each file once.

    A folder of trusted authorities is named by its files, by itself when it has none.
    """
    seen: set[Path] = set()
    for setting, inside in _settings(service):
        path = on_host(service, inside)
        for file in _files(setting, path) if path is not None else ():
            if file not in seen:
                seen.add(file)
                yield setting, file


def _files(setting: str, path: Path) -> list[Path]:
    if path.suffix in KINDS:
        return [path]
    if not FOLDER_WORDS & set(_words(setting)) or path.is_file():
        return []
    try:
        inside = sorted(file for file in path.iterdir() if file.suffix in KINDS)
    except OSError:
        inside = []
    return inside or [path]


def _settings(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in (service.get("environment") or {}).items():
        if str(value or "").startswith("/"):
            yield name, str(value)
    for word in service.get("command") or ():
        found = _FLAG.fullmatch(str(word))
        if found:
            yield f"--{found[1]}", found[2]


def on_host(service: Mapping[str, Any], inside: str) -> Path | None:
    """Return the host's path of a path in the container, None when it has none."""
    path = PurePosixPath(inside)
    for volume in service.get("volumes") or ():
        target = PurePosixPath(volume["target"])
        if volume.get("type") == "bind" and path.is_relative_to(target):
            return Path(volume["source"]) / path.relative_to(target)
    return None


def role_of(setting: str, path: Path) -> str:
    words = _words(setting)
    if "key" in words or path.suffix == ".key":
        return "key"
    return "authority" if {"ca", "root", "trusted"} & set(words) else "certificate"


def _words(setting: str) -> list[str]:
    return re.split(r"[^a-z]+", setting.lower())


def read(service: str, setting: str, path: Path) -> CertificateFile:
    """Read one file; whatever is wrong with it is told in `fault`."""
    file, role = inspect_file(path), role_of(setting, path)
    if file.content is None:
        return CertificateFile(service, setting, role, file)
    try:
        if role == "key":
            return CertificateFile(service, setting, role, file, key=_key(file.content))
        chain = _certificates(file.content)
    except ValueError as unreadable:
        fault = str(unreadable).split(".")[0] or "unreadable"
        return CertificateFile(service, setting, role, file, fault=fault)
    return CertificateFile(service, setting, role, file, chain[0], chain=chain)


def _key(content: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return _spki(load_pem_private_key(content, password=None).public_key())
    except TypeError as encrypted:
        raise ValueError("the key wants a passphrase") from encrypted


def _certificates(content: bytes) -> tuple[Certificate, ...]:
    from cryptography import x509

    return tuple(
        _certificate(certificate)
        for certificate in x509.load_pem_x509_certificates(content)
    )


def _certificate(certificate: Any) -> Certificate:
    return Certificate(
        begins=certificate.not_valid_before_utc,
        ends=certificate.not_valid_after_utc,
        names=_names(certificate),
        key=_spki(certificate.public_key()),
        issuer=certificate.issuer.rfc4514_string(),
        subject=certificate.subject.rfc4514_string(),
    )


def _names(certificate: Any) -> tuple[str, ...]:
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name) for name in found.value.get_values_for_type(x509.DNSName))


def _spki(key: Any) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded
