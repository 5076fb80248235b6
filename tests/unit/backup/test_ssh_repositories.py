"""Repositories behind `sftp:`: addresses, keys, host keys; and changed passwords."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from compose_ops.backup import (
    addresses,
    helper,
    host_keys,
    restic_access,
    rotation,
    ssh_address,
)
from compose_ops.backup.addresses import RepositoryAddress
from compose_ops.backup.helper import HelperJob
from compose_ops.config import Config
from compose_ops.config.schema import DestinationTable
from compose_ops.errors import ConfigurationError, DataError, UsageError
from compose_ops.project.env_file import write_private
from compose_ops.runtime.context import StackContext

HOST = "backups.example"
LINE = f"[{HOST}]:2222 ssh-ed25519 AAAAkey"
SHOWN = [{"line": LINE, "kind": "ssh-ed25519", "fingerprint": "SHA256:right"}]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (f"sftp:me@{HOST}:/srv/shop", (HOST, 22)),
        (f"sftp:{HOST}:shop", (HOST, 22)),
        (f"sftp://me@{HOST}:2222//srv/shop", (HOST, 2222)),
        ("sftp:me@[fd00::1]:/srv", ("fd00::1", 22)),
        ("sftp://me@[fd00::1]:2222//srv", ("fd00::1", 2222)),
    ],
)
def test_address_names_a_server(url: str, server: tuple[str, int]) -> None:
    assert ssh_address.server(url) == server


@pytest.mark.parametrize(
    "url",
    ["sftp:", "sftp:/srv", f"sftp://{HOST}", f"sftp://{HOST}:none/srv", "sftp:a b:/c"],
)
def test_address_without_a_server_or_a_folder_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        ssh_address.server(url)


def far(stack: StackContext) -> RepositoryAddress:
    """Return a repository behind ssh that the project names; its files are there."""
    table = DestinationTable(
        repository=f"sftp://me@{HOST}:2222//srv/shop", key_file="key"
    )
    stack.config = Config(destinations={"far": table}, folder=stack.root)
    (found,) = addresses.repositories(stack.config, stack.root)
    for file in (found.password, stack.root / "key"):
        file.parent.mkdir(exist_ok=True)
        file.write_text("first")
        file.chmod(0o600)
    return found


def test_ssh_reads_no_configuration_and_checks_strictly(stack: StackContext) -> None:
    address = far(stack)

    (flag, options) = address.options

    assert flag == "-o"
    for words in ("-F none", "StrictHostKeyChecking=yes", "BatchMode=yes"):
        assert words in options
    spec = helper.spec(stack, HelperJob(run="look", label="far", repository=address))
    assert f"type=bind,src={stack.root}/key,dst=/key,readonly" in spec.mounts
    assert not {"first", str(stack.root / "key")} & {*spec.environment.values()}


def test_key_and_host_keys_are_judged_before_a_helper_starts(
    stack: StackContext,
) -> None:
    address = far(stack)
    assert address.ssh is not None
    assert address.ssh.key is not None

    with pytest.raises(ConfigurationError, match=r"no host key of .*2222 was"):
        restic_access.check_ssh(address, address.ssh)
    address.ssh.key.chmod(0o644)
    with pytest.raises(ConfigurationError, match="private key is open to others"):
        restic_access.check_ssh(address, address.ssh)
    with pytest.raises(ConfigurationError, match="no key is named"):
        restic_access.check_ssh(address, replace(address.ssh, key=None))


@dataclass
class Repository:
    """What a helper answers; it is open to the passwords in `opens`."""

    opens: set[str] = field(default_factory=lambda: {"first"})
    before: Callable[[], None] = lambda: None

    @contextmanager
    def helper(self, _stack: StackContext, job: HelperJob) -> Iterator["_Talk"]:
        yield _Talk(self, job)


@dataclass
class _Talk:
    repository: Repository
    job: HelperJob

    def at_repository(self, act: str, **_words: Any) -> dict[str, Any]:
        if act == "host keys":
            return {"keys": SHOWN}
        self.repository.before()
        assert self.job.repository is not None
        assert self.job.other_password is not None
        own = self.job.repository.password.read_text()
        other = self.job.other_password.read_text()
        assert own in self.repository.opens
        if act == "add password":
            self.repository.opens.add(other)
        else:
            assert own != other
            self.repository.opens.discard(other)
        return {}


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository()
    monkeypatch.setattr(helper, "helper", made.helper)
    monkeypatch.setattr(helper, "require_repository", lambda _stack: "image")
    monkeypatch.setattr(restic_access, "check", lambda *_: None)
    return made


@pytest.mark.usefixtures("repository")
def test_host_keys_are_kept_once_they_were_confirmed(stack: StackContext) -> None:
    """Of another server none is touched; one that is asked for is the only one kept."""
    address = far(stack)
    assert address.ssh is not None
    file = address.ssh.known_hosts
    file.write_text(f"other.example ssh-ed25519 AAAAother\n[{HOST}]:2222 ssh-rsa old\n")

    with pytest.raises(UsageError, match="were not confirmed"):
        host_keys.trust(stack, HOST)
    with pytest.raises(DataError, match="no host key with the fingerprint"):
        host_keys.trust(stack, "far", fingerprint="SHA256:wrong")
    assert LINE not in file.read_text()
    assert not host_keys.trust(stack, HOST, fingerprint="SHA256:right").is_known

    assert file.read_text() == f"other.example ssh-ed25519 AAAAother\n{LINE}\n"
    assert host_keys.trust(stack, HOST).is_known
    with pytest.raises(UsageError, match="is on elsewhere"):
        host_keys.trust(stack, "elsewhere")


MODULE = "compose_ops.backup.passwords"
STEPS = 8


@pytest.mark.parametrize("killed", range(STEPS))
def test_rotation_that_dies_anywhere_is_gone_on_with(
    stack: StackContext,
    repository: Repository,
    monkeypatch: pytest.MonkeyPatch,
    killed: int,
) -> None:
    """At any moment the file's password opens the repository; at the end it alone."""
    password = far(stack).password
    left = [killed]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*words: Any, **named: Any) -> Any:
            step()
            return function(*words, **named)

        return counting

    with monkeypatch.context() as dying:
        repository.before = step
        dying.setattr(f"{MODULE}.write_private", counted(write_private))
        dying.setattr(os, "link", counted(os.link))
        for name in ("rename", "unlink"):
            dying.setattr(Path, name, counted(getattr(Path, name)))
        with pytest.raises(KeyboardInterrupt):
            rotation.rotate(stack, "far")
    assert password.read_text() in repository.opens
    repository.before = lambda: None

    assert rotation.rotate(stack, "far") == ("far",)

    assert repository.opens == {password.read_text()} != {"first"}
    assert [file.name for file in password.parent.iterdir()] == [password.name]
