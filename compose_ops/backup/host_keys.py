"""Confirm the host keys of the servers behind `sftp:`, once a person compared them."""

from collections.abc import Mapping
from dataclasses import dataclass

from compose_ops.backup import helper, restic_access
from compose_ops.backup.addresses import RepositoryAddress, repositories
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.ssh_address import SshAddress
from compose_ops.console import confirm, say
from compose_ops.errors import DataError, UsageError
from compose_ops.project.env_file import write_private
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class HostKeys:
    """
    What a server showed: fingerprints by the kind of key, and their lines.

    `is_known` says that all of them had been confirmed.
    """

    server: str
    fingerprints: Mapping[str, str]
    lines: tuple[str, ...]
    is_known: bool


def trust(stack: StackContext, word: str, *, fingerprint: str = "") -> HostKeys:
    """
    Show the host keys of a server, and keep those that are confirmed.

    *word* is a host of the repositories behind `sftp:`, or the name of one. With
    *fingerprint* nobody is asked, and only the key that has it is kept. Raises
    UsageError where nothing was confirmed, DataError where the server does not answer,
    or has no such key.
    """
    address, ssh = _named(stack, word)
    offered = _offered(stack, address, ssh)
    chosen = {k: v for k, v in offered.items() if fingerprint in {"", v.fingerprint}}
    shown = {kind: key.fingerprint for kind, key in offered.items()}
    if not chosen:
        raise DataError(
            f"{ssh.pattern} has no host key with the fingerprint {fingerprint}",
            hint="it shows " + ", ".join(shown.values()),
        )
    lines = tuple(key.line for key in chosen.values())
    found = HostKeys(ssh.pattern, shown, lines, set(lines) <= set(ssh.confirmed))
    if found.is_known or stack.dry:
        return found
    for kind, print_ in shown.items():
        say(f"{ssh.pattern} shows {kind} {print_}")
    if ssh.confirmed:
        say("another host key of it was confirmed before")
    if not fingerprint and not confirm(
        "Are these what whoever runs the server says?", yes=False
    ):
        raise UsageError(
            f"the host keys of {ssh.pattern} were not confirmed",
            hint="compare them with what whoever runs the server says, then answer, or "
            "give the right one: --fingerprint SHA256:…",
        )
    _keep(ssh, lines)
    return found


@dataclass(frozen=True, slots=True)
class _Key:
    line: str
    fingerprint: str


def _named(stack: StackContext, word: str) -> tuple[RepositoryAddress, SshAddress]:
    found = [(a, a.ssh) for a in repositories(stack.config, stack.root) if a.ssh]
    for address, ssh in found:
        if word in {address.name, ssh.host, ssh.pattern}:
            return address, ssh
    there = ", ".join(ssh.host for _, ssh in found) or "there is none"
    raise UsageError(
        f"no repository behind sftp: is on {word}",
        hint=f"a host of [destinations] in compose-ops.toml: {there}",
    )


def _offered(
    stack: StackContext, address: RepositoryAddress, ssh: SshAddress
) -> dict[str, _Key]:
    restic_access.check_password(address.password)
    helper.require_repository(stack)
    work = HelperJob(run="trust", label=address.name, repository=address)
    with (
        restic_access.explained(stack, address),
        helper.helper(stack, work) as talk,
    ):
        found = talk.at_repository("host keys", host=ssh.host, port=ssh.port)["keys"]
    return {one["kind"]: _Key(one["line"], one["fingerprint"]) for one in found}


def _keep(ssh: SshAddress, lines: tuple[str, ...]) -> None:
    """Put *lines* in the place of those about the server."""
    file = ssh.known_hosts
    before = file.read_text().splitlines() if file.is_file() else []
    others = [line for line in before if line not in ssh.confirmed]
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(file, "\n".join([*others, *lines]) + "\n")
