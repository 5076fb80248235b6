"""Certificates and keys: read or not, trusted or not, and taken up when renewed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from judging import STACK, judge

from compose_ops.doctor.facts.certificates import (
    Certificate,
    CertificateFile,
    named_files,
)
from compose_ops.doctor.facts.secret_files import FileFacts
from compose_ops.verdicts import Row

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def certificate(issuer: str = "authority", *, days: int = 90) -> Certificate:
    ends = NOW + timedelta(days=days)
    return Certificate(NOW - timedelta(days=9), ends, (), b"K", issuer, issuer)


def file(
    service: str, role: str, *, state: str = "file", **changes: Any
) -> CertificateFile:
    """Return a file that this user read, or could not where `content` is None."""
    path = STACK.root / f"certs/{service}/{role}.pem"
    content = changes.pop("content", b"PEM")
    facts = FileFacts(path, state, 0o400, 101, 103, content=content)
    chain = changes.pop("chain", ())
    first = chain[0] if chain else None
    return CertificateFile(
        service, role.upper(), role, facts, first, chain=chain, **changes
    )


def cert(service: str = "memgraph", issuer: str = "authority") -> CertificateFile:
    return file(service, "certificate", chain=(certificate(issuer),))


def row(name: str, *files: CertificateFile, running: Any = frozenset()) -> Row:
    return judge(name, stack=STACK, certificate_files=files, running=running, now=NOW)


def test_unread_key_is_not_told_as_a_match() -> None:
    """A user who may not read keys cannot say that they belong together."""
    unread = row("certificate-pair", cert(), file("memgraph", "key", content=None))
    read = row("certificate-pair", cert(), file("memgraph", "key", key=b"K"))
    other = row("certificate-pair", cert(), file("memgraph", "key", key=b"X"))

    assert (unread.outcome, read.outcome, other.outcome) == ("skipped", "ok", "fail")
    assert "cannot read certs/memgraph/key.pem" in unread.detail
    assert read.detail == "1 certificates and keys match"


def test_torn_certificate_is_not_told_as_a_match() -> None:
    """That it is torn is another check's finding."""
    torn = file("memgraph", "certificate", fault="no PEM")
    found = row("certificate-pair", torn, file("memgraph", "key", key=b"K"))

    assert found.detail == "0 certificates and keys match"


def test_unread_certificate_is_not_told_as_there() -> None:
    hidden = file("memgraph", "certificate", state="hidden", content=None)

    assert row("certificate-present", hidden).outcome == "skipped"


def test_each_service_is_held_against_the_authorities_that_matter() -> None:
    """Its clients' for what they refuse, its own roots for what it starts with."""
    clients = file("app", "authority", chain=(certificate("clients"),))
    roots = file("eventstore", "authority", chain=(certificate("roots"),))

    def judged(issuer: str) -> list[str]:
        one = cert("eventstore", issuer)
        found = row("certificate-pair", one, clients, roots)
        return [v.about for v in found.problems]

    assert judged("clients") == ["eventstore authority that eventstore trusts"]
    assert judged("roots") == ["eventstore authority of the clients"]


def test_renewed_certificates_are_taken_up_by_what_runs() -> None:
    """A container holds the folder that was moved away until it starts again."""
    old = file("memgraph", "certificate", chain=(certificate(days=3),))
    client = file("app", "authority", chain=(certificate(),))
    running = frozenset({"memgraph", "questdb", "app"})

    still = row("certificate-valid", old, client).repair
    again = row("certificate-valid", old, client, running=running).repair

    assert still.endswith('mv certs/app certs/memgraph "$old"/ && invoke init --prod')
    assert again == (
        f"{still} && invoke restart --service memgraph && invoke restart --service app"
    )


def test_set_of_which_nothing_is_there_is_made() -> None:
    absent = file("memgraph", "certificate", state="absent", content=None)

    assert row("certificate-present", absent).repair == "invoke init --prod"


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("EVENTSTORE_TRUSTED_ROOT_CERTIFICATES_PATH", ["ca.crt"]),
        ("APP_ROOT", []),
    ],
)
def test_files_of_a_folder_of_trusted_roots_are_judged(
    tmp_path: Path, setting: str, names: list[str]
) -> None:
    (tmp_path / "ca.crt").touch()
    (tmp_path / "notes.txt").touch()
    service = {
        "environment": {setting: "/certs"},
        "volumes": [{"type": "bind", "source": str(tmp_path), "target": "/certs"}],
    }

    assert [path.name for _, path in named_files(service)] == names


def test_folder_of_trusted_roots_must_hold_one(tmp_path: Path) -> None:
    service = {
        "environment": {"EVENTSTORE_TRUSTED_ROOT_CERTIFICATES_PATH": "/certs"},
        "volumes": [{"type": "bind", "source": str(tmp_path), "target": "/certs"}],
    }
    empty = file("eventstore", "authority", state="folder", content=None)

    assert [path for _, path in named_files(service)] == [tmp_path]
    found = row("certificate-present", empty)
    assert found.outcome == "fail"
    assert "a folder without certificates" in found.detail
