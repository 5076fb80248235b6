"""Certificates: there, in date, matching their keys, and closed to other users."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from compose_ops.doctor.checks.secret_files import shown
from compose_ops.doctor.facts.access import EVERYBODY, User
from compose_ops.doctor.facts.certificates import CertificateFile
from compose_ops.doctor.registry import check
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, ok, skip, warn

SOON = timedelta(days=30)
NONE_NAMED = "this mode names no certificate"


@check(
    "certificate-present",
    "Every certificate and key that a service is told to use is there and readable.",
    why="Without it the service exits, or speaks in clear.",
)
def certificate_present(
    stack: StackContext,
    certificate_files: tuple[CertificateFile, ...],
    running: frozenset[str],
) -> Iterator[Verdict]:
    repair = renew(stack, certificate_files, running)
    for one in certificate_files:
        path = shown(stack, one.file.path)
        fault = absence(one)
        if fault:
            said = f"{one.service}: {one.setting} names {path}, {fault}"
            yield fail(said, repair, about=f"{one.service} {one.setting}")
        elif one.fault:
            yield fail(
                f"{path} is no {one.role}: {one.fault}",
                repair,
                about=f"{one.service} {one.setting}",
            )
        elif one.file.content is None:
            yield skip(f"this user may not read {path}")
    yield ok("every certificate is there" if certificate_files else NONE_NAMED)


def absence(one: CertificateFile) -> str:
    """Say what is there instead of a file, nothing where there is one."""
    if one.file.state == "folder" and one.role == "authority":
        return "a folder without certificates"
    return "which is no file" if one.file.state in {"absent", "folder"} else ""


def renew(
    stack: StackContext, files: tuple[CertificateFile, ...], running: frozenset[str]
) -> str:
    """
    Return what makes a whole new set, keeps the old one beside it, and takes it up.

    A running container holds the folder that was moved until it starts again; clients
    come after servers, as they trust nothing else from then on.
    """
    made = stack.config.init.certificates
    folder = stack.config.path(made.folder)
    there = [one.file.path for one in files if one.file.state != "absent"]
    inside = [path for path in there if path.is_relative_to(folder)]
    tops = {folder / path.relative_to(folder).parts[0] for path in inside}
    old = [shown(stack, top) for top in sorted(tops)]
    servers = {one.service for one in files if one.role != "authority"}
    clients = {one.service for one in files} - servers
    steps = [
        stack.config.init.production,
        *(restart(group & running) for group in (servers, clients)),
    ]
    if old:
        aside = f'old="{made.folder}/old-$(date +%s)" && mkdir "$old"'
        steps = [aside, f'{command("mv", *old)} "$old"/', *steps]
    return " && ".join(filter(None, steps))


def restart(services: frozenset[str] | set[str]) -> str:
    flags = [word for name in sorted(services) for word in ("--service", name)]
    return command("invoke", "restart", *flags) if flags else ""


@check(
    "certificate-valid",
    "Every certificate is in date for a month to come.",
    why="On the day it ends every client refuses the service.",
)
def certificate_valid(
    stack: StackContext,
    certificate_files: tuple[CertificateFile, ...],
    running: frozenset[str],
    now: datetime,
) -> Iterator[Verdict]:
    judged = [one for one in certificate_files if one.certificate is not None]
    repair = renew(stack, certificate_files, running)
    for one in judged:
        found = date_fault(one, shown(stack, one.file.path), repair, now)
        if found:
            yield found
    if judged:
        first = min(c.ends for one in judged for c in one.chain)
        yield ok(f"certificates are valid until {first:%Y-%m-%d}")
    elif not certificate_files:
        yield ok(NONE_NAMED)
    else:
        yield skip("no certificate can be read")


def date_fault(
    one: CertificateFile, path: str, repair: str, now: datetime
) -> Verdict | None:
    """Return the verdict on a certificate that is not in date, None for a good one."""
    about = f"{one.service} {one.setting}"
    ends = min(c.ends for c in one.chain)
    begins = max(c.begins for c in one.chain)
    if ends <= now:
        said = f"the {one.role} {path} expired on {ends:%Y-%m-%d}"
        return fail(said, repair, about=f"{about} expired")
    if begins > now:
        said = f"the {one.role} {path} is valid only from {begins:%Y-%m-%d %H:%M}"
        return fail(said, "sudo timedatectl set-ntp true", about=f"{about} early")
    if ends < now + SOON:
        said = f"the {one.role} {path} expires on {ends:%Y-%m-%d}"
        return warn(said, repair, about=f"{about} soon")
    return None


@check(
    "certificate-pair",
    "Each service's key belongs to its certificate, which names the service and is "
    "signed by the authority that clients know.",
    why="With a key of another certificate TLS does not start; with another name or "
    "authority every client refuses.",
)
def certificate_pair(
    stack: StackContext,
    certificate_files: tuple[CertificateFile, ...],
    running: frozenset[str],
) -> Iterator[Verdict]:
    own = {o.service: o for o in certificate_files if o.role == "certificate"}
    keys = {o.service: o for o in certificate_files if o.role == "key"}
    repair = renew(stack, certificate_files, running)
    compared = 0
    for service, one in own.items():
        key = keys.get(service)
        unread = [o for o in (one, key) if o is not None and o.file.content is None]
        for other in unread:
            yield skip(f"this user may not read {shown(stack, other.file.path)}")
        compared += not unread and one.certificate is not None
        if one.certificate is not None:
            yield from key_faults(stack, one, key, repair)
            yield from signature_faults(stack, one, certificate_files, repair)
    yield ok(f"{compared} certificates and keys match" if own else NONE_NAMED)


def key_faults(
    stack: StackContext, one: CertificateFile, key: CertificateFile | None, repair: str
) -> Iterator[Verdict]:
    certificate, path = one.chain[0], shown(stack, one.file.path)
    if key is not None and key.key and key.key != certificate.key:
        other = shown(stack, key.file.path)
        said = f"the key {other} does not belong to the certificate {path}"
        yield fail(said, repair, about=f"{one.service} key")
    if certificate.names and one.service not in certificate.names:
        said = f"the certificate {path} does not name {one.service}"
        yield fail(said, repair, about=f"{one.service} name")


def signature_faults(
    stack: StackContext,
    one: CertificateFile,
    files: tuple[CertificateFile, ...],
    repair: str,
) -> Iterator[Verdict]:
    """Hold a certificate against its clients' authority and its own service's roots."""
    servers = {o.service for o in files if o.role == "certificate"}
    authorities = [o for o in files if o.role == "authority"]
    groups = {
        "of the clients": [o for o in authorities if o.service not in servers],
        f"that {one.service} trusts": [
            o for o in authorities if o.service == one.service
        ],
    }
    for whose, trusted in groups.items():
        known = {c.subject for o in trusted for c in o.chain}
        if known and not {c.issuer for c in one.chain} & known:
            path = shown(stack, one.file.path)
            said = f"the certificate {path} is not signed by the authority {whose}"
            yield fail(said, repair, about=f"{one.service} authority {whose}")


@check(
    "key-private",
    "A private key can be read by its service and by no other user.",
    why="Whoever reads the key can pretend to be the service.",
)
def key_private(
    stack: StackContext,
    certificate_files: tuple[CertificateFile, ...],
    users: Mapping[str, User],
) -> Iterator[Verdict]:
    keys = [o for o in certificate_files if o.role == "key" and o.file.is_there]
    for one in keys:
        path = shown(stack, one.file.path)
        user = users.get(one.service, User(None))
        about = f"{one.service} {one.setting}"
        if one.file.readers and not shares(user, one):
            owns = user.uid == one.file.owner
            yield warn(
                f"{one.file.readers} can read the key {path}",
                closing(user, path, owns=owns),
                about=about,
                safe=owns,
            )
        elif user.may(one.file.permissions) is False:
            yield fail(
                f"{one.service} runs as uid {user.uid} and cannot read its key {path} "
                f"({one.file.mode:04o} of uid {one.file.owner}, gid {one.file.group})",
                command("sudo", "chown", user.uid, path),
                about=about,
            )
    yield ok(f"{len(keys)} keys are private" if keys else "this mode names no key")


def shares(user: User, key: CertificateFile) -> bool:
    """Say whether a key's group is the service's own, and is what reads it."""
    is_members = key.file.group in (user.groups or ())
    return is_members and key.file.readers != EVERYBODY


def closing(user: User, path: str, *, owns: bool) -> str:
    """Return what closes a key to all but the service's user, who must own it."""
    if owns:
        return command("chmod", "400", path)
    if user.uid is None:
        return command("chmod", "o-r", path)
    chown = command("sudo", "chown", user.uid, path)
    return f"{chown} && {command('sudo', 'chmod', '400', path)}"
