"""Certificates: present, valid, matching their keys, and private."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from compose_ops.doctor.checks.secret_files import relative
from compose_ops.doctor.facts.access import EVERYBODY, User
from compose_ops.doctor.facts.certificates import CertificateFile
from compose_ops.doctor.registry import check
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, ok, skip, warn

SOON = timedelta(days=30)
NONE_NAMED = "this mode names no certificate"


@check(
    "certificate-present",
    "Every certificate and key that a service is configured with exists.",
    why="Without it the service exits, or serves without TLS.",
)
def certificate_present(
    stack: StackContext,
    certificate_files: tuple[CertificateFile, ...],
    running: frozenset[str],
) -> Iterator[Verdict]:
    repair = renew(stack, certificate_files, running)
    for entry in certificate_files:
        path = relative(stack, entry.file.path)
        fault = absence(entry)
        if fault:
            detail = f"{entry.service}: {entry.setting} names {path}, {fault}"
            yield fail(detail, repair, about=f"{entry.service} {entry.setting}")
        elif entry.fault:
            yield fail(
                f"{path} is not a valid {entry.role}: {entry.fault}",
                repair,
                about=f"{entry.service} {entry.setting}",
            )
        elif entry.file.content is None:
            yield skip(f"this user cannot read {path}")
    yield ok("every certificate exists" if certificate_files else NONE_NAMED)


def absence(entry: CertificateFile) -> str:
    """Say what is there instead of a file, nothing where there is one."""
    if entry.file.state == "folder" and entry.role == "authority":
        return "a folder without certificates"
    return "which does not exist" if entry.file.state in {"absent", "folder"} else ""


def renew(
    stack: StackContext, files: tuple[CertificateFile, ...], running: frozenset[str]
) -> str:
    """
    Return what moves old certificates aside, creates new ones, restarts services.

    A running container holds the folder that was moved until it starts again; clients
    come after servers, as they trust nothing else from then on.
    """
    made = stack.config.init.certificates
    folder = stack.config.path(made.folder)
    there = [entry.file.path for entry in files if entry.file.state != "absent"]
    inside = [path for path in there if path.is_relative_to(folder)]
    tops = {folder / path.relative_to(folder).parts[0] for path in inside}
    old = [relative(stack, top) for top in sorted(tops)]
    servers = {entry.service for entry in files if entry.role != "authority"}
    clients = {entry.service for entry in files} - servers
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
    "Every certificate is valid for at least 30 days.",
    why="When it expires, every client refuses the service.",
)
def certificate_valid(
    stack: StackContext,
    certificate_files: tuple[CertificateFile, ...],
    running: frozenset[str],
    now: datetime,
) -> Iterator[Verdict]:
    judged = [entry for entry in certificate_files if entry.certificate is not None]
    repair = renew(stack, certificate_files, running)
    for entry in judged:
        found = date_fault(entry, relative(stack, entry.file.path), repair, now)
        if found:
            yield found
    if judged:
        first = min(c.ends for entry in judged for c in entry.chain)
        yield ok(f"certificates are valid until {first:%Y-%m-%d}")
    elif not certificate_files:
        yield ok(NONE_NAMED)
    else:
        yield skip("no certificate is readable")


def date_fault(
    entry: CertificateFile, path: str, repair: str, now: datetime
) -> Verdict | None:
    """Return the verdict on a certificate that is not in date, None for a good one."""
    about = f"{entry.service} {entry.setting}"
    ends = min(c.ends for c in entry.chain)
    begins = max(c.begins for c in entry.chain)
    if ends <= now:
        detail = f"the {entry.role} {path} expired on {ends:%Y-%m-%d}"
        return fail(detail, repair, about=f"{about} expired")
    if begins > now:
        detail = f"the {entry.role} {path} is not valid before {begins:%Y-%m-%d %H:%M}"
        return fail(detail, "sudo timedatectl set-ntp true", about=f"{about} early")
    if ends < now + SOON:
        detail = f"the {entry.role} {path} expires on {ends:%Y-%m-%d}"
        return warn(detail, repair, about=f"{about} soon")
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
    for service, entry in own.items():
        key = keys.get(service)
        unread = [o for o in (entry, key) if o is not None and o.file.content is None]
        for other in unread:
            yield skip(f"this user cannot read {relative(stack, other.file.path)}")
        compared += not unread and entry.certificate is not None
        if entry.certificate is not None:
            yield from key_faults(stack, entry, key, repair)
            yield from signature_faults(stack, entry, certificate_files, repair)
    yield ok(f"{compared} certificates and keys match" if own else NONE_NAMED)


def key_faults(
    stack: StackContext,
    entry: CertificateFile,
    key: CertificateFile | None,
    repair: str,
) -> Iterator[Verdict]:
    certificate, path = entry.chain[0], relative(stack, entry.file.path)
    if key is not None and key.key and key.key != certificate.key:
        other = relative(stack, key.file.path)
        detail = f"the key {other} does not belong to the certificate {path}"
        yield fail(detail, repair, about=f"{entry.service} key")
    if certificate.names and entry.service not in certificate.names:
        detail = f"the certificate {path} does not name {entry.service}"
        yield fail(detail, repair, about=f"{entry.service} name")


def signature_faults(
    stack: StackContext,
    entry: CertificateFile,
    files: tuple[CertificateFile, ...],
    repair: str,
) -> Iterator[Verdict]:
    """Hold a certificate against its clients' authority and its own service's roots."""
    servers = {o.service for o in files if o.role == "certificate"}
    authorities = [o for o in files if o.role == "authority"]
    groups = {
        "of the clients": [o for o in authorities if o.service not in servers],
        f"that {entry.service} trusts": [
            o for o in authorities if o.service == entry.service
        ],
    }
    for whose, trusted in groups.items():
        known = {c.subject for o in trusted for c in o.chain}
        if known and not {c.issuer for c in entry.chain} & known:
            path = relative(stack, entry.file.path)
            detail = f"the certificate {path} is not signed by the authority {whose}"
            yield fail(detail, repair, about=f"{entry.service} authority {whose}")


@check(
    "key-private",
    "A private key can be read by its service and by no other user.",
    why="Anyone who can read the key can impersonate the service.",
)
def key_private(
    stack: StackContext,
    certificate_files: tuple[CertificateFile, ...],
    users: Mapping[str, User],
) -> Iterator[Verdict]:
    keys = [o for o in certificate_files if o.role == "key" and o.file.is_there]
    for entry in keys:
        path = relative(stack, entry.file.path)
        user = users.get(entry.service, User(None))
        about = f"{entry.service} {entry.setting}"
        if entry.file.readers and not shares(user, entry):
            owns = user.uid == entry.file.owner
            yield warn(
                f"{entry.file.readers} can read the key {path}",
                closing(user, path, owns=owns),
                about=about,
                safe=owns,
            )
        elif user.may(entry.file.permissions) is False:
            yield fail(
                f"{entry.service} runs as uid {user.uid} and cannot read its key "
                f"{path} "
                f"({entry.file.mode:04o} of uid {entry.file.owner}, gid "
                f"{entry.file.group})",
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
