"""The private authority and the certificates that `invoke init --prod` makes."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from repository import config_in

from compose_ops.errors import ConfigurationError
from compose_ops.stack import certificates, ownership, production, setup

NAMES = {"memgraph": "memgraph", "eventstore": "eventstoredb-node"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a checkout in which `init --prod` has run, files not given away."""
    root = tmp_path_factory.mktemp("checkout")
    example = f"COMPOSE_PROJECT_NAME=trial\nDATA_ROOT={root / 'data'}\n"
    (root / ".env.example").write_text(example)
    (root / "secrets").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ownership, "give", lambda *_words: None)
        patch.setattr(ownership, "make_folders", lambda *_words: None)
        config = config_in(root)
        more = production.steps(None, config, {})
        setup.run(None, root, config, more=more)
    return root


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def key(path: Path) -> RSAPrivateKey:
    found = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(found, RSAPrivateKey)
    return found


@pytest.mark.parametrize("server", NAMES)
def test_a_server_has_an_rsa_key_and_a_certificate_for_it(
    checkout: Path, server: str
) -> None:
    """Both servers refuse other kinds; a key is for the eyes of its owner alone."""
    folder = checkout / "certs" / server
    private = key(folder / "key.pem")

    assert private.key_size >= 2048
    assert certificate(folder / "cert.pem").public_key() == private.public_key()
    assert (folder / "key.pem").stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize(("server", "common"), NAMES.items())
def test_a_certificate_names_its_server(
    checkout: Path, server: str, common: str
) -> None:
    """By the name that others on the network use, and for a check from inside."""
    found = certificate(checkout / "certs" / server / "cert.pem")
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert server in names.get_values_for_type(x509.DNSName)
    assert "localhost" in names.get_values_for_type(x509.DNSName)
    assert IPv4Address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
    assert found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value == (
        common
    )


def test_the_app_is_given_the_authority_that_signed_them(checkout: Path) -> None:
    """And so is EventStore, whose nodes verify each other."""
    authority = certificate(checkout / "certs/app/ca.pem")
    assert isinstance(authority.public_key(), RSAPublicKey)

    for server in NAMES:
        found = certificate(checkout / "certs" / server / "cert.pem")
        found.verify_directly_issued_by(authority)
    assert certificate(checkout / "certs/eventstore/ca/ca.crt") == authority


def test_no_private_key_lies_in_the_checkout_but_the_servers_own(
    checkout: Path,
) -> None:
    """The authority's is kept nowhere: whoever reads all of it can sign nothing."""
    keys = {
        path.relative_to(checkout)
        for path in checkout.rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    }
    authority = certificate(checkout / "certs/app/ca.pem").public_key()

    assert keys == {Path("certs") / name / "key.pem" for name in NAMES}
    assert all(key(checkout / path).public_key() != authority for path in keys)


def test_each_key_goes_to_the_user_of_its_service(tmp_path: Path) -> None:
    """When all files are there: what cannot be given away can be by hand."""
    given: list[tuple[str, int, int, bool]] = []
    config = config_in(tmp_path)
    table = config.init.certificates

    def own(keys: Sequence[tuple[Path, int, int]]) -> None:
        whole = all(path.exists() for path in certificates.files(config))
        given.extend((path.parent.name, u, g, whole) for path, u, g in keys)

    certificates.make(tmp_path / table.folder, table, own)

    servers = table.servers
    assert given == [(name, s.uid, s.gid, True) for name, s in servers.items()]
    assert len({s.uid for s in servers.values()}) == len(NAMES)


class Killed(BaseException):
    """The end of a process in the middle of something."""


class Trial:
    """A checkout whose keys belong to this user, as the services' user."""

    def __init__(self, root: Path) -> None:
        config = config_in(root)
        table = config.init.certificates
        mine = {
            name: replace(server, uid=os.geteuid(), gid=os.getegid())
            for name, server in table.servers.items()
        }
        table = replace(table, servers=mine)
        self.config = replace(config, init=replace(config.init, certificates=table))
        self.folder = root / table.folder
        self.folder.mkdir()
        (self.folder / "README.md").touch()
        self.given: list[Path] = []

    def own(self, keys: Sequence[tuple[Path, int, int]]) -> None:
        for path, _, _ in keys:
            path.chmod(0o400)
            self.given.append(path)

    def steps(self) -> list[tuple[str, Callable[[], object]]]:
        return list(certificates.steps(self.config, self.own))

    def init(self) -> None:
        for _, act in self.steps():
            act()

    def files(self) -> set[Path]:
        return {path for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def killed_in(
    monkeypatch: pytest.MonkeyPatch, trial: Trial, owner: object, name: str, call: int
) -> None:
    """Let init end in that call of a function."""
    real, left = getattr(owner, name), [call]

    def dying(*words: object, **more: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(*words, **more)

    with monkeypatch.context() as patch:
        # A kill runs no clean-up.
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        patch.setattr(owner, name, dying)
        with pytest.raises(Killed):
            trial.init()


PLACES = [
    *((os, "fchmod", call) for call in (1, 2, 6)),
    *((Path, "rename", call) for call in (1, 2, 4)),
    (Trial, "own", 1),
]


@pytest.mark.parametrize(("owner", "name", "call"), PLACES)
def test_a_killed_run_is_finished_by_the_next(
    trial: Trial,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    name: str,
    call: int,
) -> None:
    """All files are of one authority, nothing else is left, a third has no step."""
    killed_in(monkeypatch, trial, owner, name, call)
    if name == "own":
        for path in trial.folder.rglob("key.pem"):
            path.chmod(0)

    trial.init()

    readme = trial.folder / "README.md"
    assert trial.files() == {readme, *certificates.files(trial.config)}
    assert len(trial.given) == len(NAMES)
    assert not [p for p in trial.folder.iterdir() if p.name.startswith(".")]
    authority = certificate(trial.folder / "app/ca.pem")
    for server in NAMES:
        found = certificate(trial.folder / server / "cert.pem")
        found.verify_directly_issued_by(authority)
    assert trial.steps() == []


def test_a_file_is_at_its_place_when_all_are_written(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_in(monkeypatch, trial, os, "fchmod", 6)

    assert not any(path.exists() for path in certificates.files(trial.config))


def test_a_failure_leaves_no_key_behind(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        trial.init()

    assert trial.files() == {trial.folder / "README.md"}


def test_what_its_service_cannot_read_is_not_done(trial: Trial) -> None:
    """A certificate is opened, a key is given away; no content changes."""
    trial.init()
    before = {path: path.read_bytes() for path in certificates.files(trial.config)}
    (trial.folder / "memgraph/cert.pem").chmod(0o600)
    (trial.folder / "memgraph/key.pem").chmod(0)
    trial.given.clear()

    trial.init()

    assert (trial.folder / "memgraph/cert.pem").stat().st_mode & 0o777 == 0o644
    assert trial.given == [trial.folder / "memgraph/key.pem"]
    assert {path: path.read_bytes() for path in before} == before
    assert trial.steps() == []


def test_certificates_of_a_person_are_not_mixed_with_those_of_a_killed_run(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed_in(monkeypatch, trial, Path, "rename", 2)
    own = trial.folder / "memgraph/cert.pem"
    own.parent.mkdir(exist_ok=True)
    own.write_text("mine")

    with pytest.raises(ConfigurationError, match=r"memgraph/cert\.pem"):
        trial.steps()
    assert own.read_text() == "mine"
