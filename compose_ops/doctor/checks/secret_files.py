"""Secrets: present, readable by their containers only, and strong."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from compose_ops.doctor.facts.access import EVERYBODY, User
from compose_ops.doctor.facts.secret_files import FileFacts, SecretFile
from compose_ops.doctor.registry import check
from compose_ops.products import load
from compose_ops.project.model import Model
from compose_ops.project.secret_strength import is_placeholder, is_weak
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, listed, ok, skip, warn


def relative(stack: StackContext, path: Path) -> str:
    """Return a path relative to the checkout, as text."""
    return str(
        path.relative_to(stack.root) if path.is_relative_to(stack.root) else path
    )


@check(
    "secret-present",
    "Every secret that a service mounts is a file.",
    why="Compose notices only while it creates the container; where the engine "
    "created a folder of that name, the service reads nothing.",
)
def secret_present(
    stack: StackContext, secret_files: tuple[SecretFile, ...]
) -> Iterator[Verdict]:
    for secret in secret_files:
        path = relative(stack, secret.file.path)
        if secret.file.state == "absent":
            yield fail(
                f"the secret {secret.name} has no file {path}",
                "invoke init",
                about=secret.name,
                safe=True,
            )
        elif secret.file.state == "folder":
            yield fail(
                f"the secret {secret.name} is a folder: {path}",
                f"{command('rmdir', path)} && invoke init",
                about=secret.name,
            )
        elif secret.file.state == "hidden":
            yield skip(f"this user has no access to {path}")
    yield ok(f"{sum(s.file.is_there for s in secret_files)} secrets are files")


@check(
    "secret-readable",
    "The user of each container can read its secrets.",
    why="Compose mounts the file with its owner and mode: without permission for the "
    "container's uid the service fails.",
)
def secret_readable(
    stack: StackContext, secret_files: tuple[SecretFile, ...], users: Mapping[str, User]
) -> Iterator[Verdict]:
    judged = 0
    for secret in secret_files:
        for service in secret.services if secret.file.is_there else ():
            user = users.get(service, User(None))
            may = user.may(secret.file.permissions)
            judged += may is not None
            if may is False:
                yield unreadable(
                    stack, secret.file, f"secret {secret.name}", service, user
                )
    if not judged and secret_files:
        yield skip("it is not known yet as which user the services run")
    else:
        yield ok("every container's user can read its secrets")


def unreadable(
    stack: StackContext, file: FileFacts, what: str, service: str, user: User
) -> Verdict:
    path = relative(stack, file.path)
    repair = f"{command('sudo', 'chown', user.uid, path)} && "
    repair += command("sudo", "chmod", "u+r", path)
    if is_ours(stack, file.path):
        repair = f"{command('chmod', '700', str(Path(path).parent))} && "
        repair += command("chmod", "644", path)
    return fail(
        f"{service} runs as uid {user.uid} and cannot read the {what} "
        f"({file.mode:04o} of uid {file.owner}, gid {file.group})",
        repair,
        about=f"{service} {what}",
    )


def is_ours(stack: StackContext, path: Path) -> bool:
    """Say whether `init` makes secrets in its folder, which may thus be closed."""
    made = stack.config.init.secrets
    return path.parent in {stack.config.path(name).parent for name in made}


@check(
    "secret-private",
    "No other user of this machine can read a secret.",
    why="The file is open to the container's user, so the folder must be closed.",
)
def secret_private(
    stack: StackContext, secret_files: tuple[SecretFile, ...]
) -> Iterator[Verdict]:
    exposed = [s for s in secret_files if s.file.readers]
    for secret in exposed:
        path = Path(relative(stack, secret.file.path))
        closing = command("chmod", "o-r", path)
        if secret.file.readers != EVERYBODY:
            closing = command("chmod", "g-r,o-r", path)
        ours = is_ours(stack, secret.file.path)
        yield warn(
            f"{secret.file.readers} can read the secret {secret.name} ({path})",
            command("chmod", "700", path.parent) if ours else closing,
            about=secret.name,
            safe=ours,
        )
    if not exposed:
        yield ok("no other user can read a secret")


@check(
    "secret-strength",
    "Passwords are long and random, JSON secrets are JSON.",
    why="A password that can be guessed protects nothing; a damaged JSON file is read "
    "as none.",
)
def secret_strength(
    stack: StackContext, model: Model, secret_files: tuple[SecretFile, ...]
) -> Iterator[Verdict]:
    read = [s for s in secret_files if s.file.content is not None]
    weak = 0
    for secret in read:
        fault = weakness(secret)
        weak += bool(fault)
        is_real = stack.mode.production and not stack.mode.substitutes
        keeping = _keeping(stack, model, secret) if fault and is_real else ()
        if fault and keeping:
            kept = f"{listed(keeping)} keeps the old password: change it there too"
            fault = replace(fault, detail=f"{fault.detail}; {kept}")
        if fault:
            yield fault
    if not read and secret_files:
        yield skip("no secret file can be read")
    elif not weak:
        yield ok(f"{listed([s.name for s in read])}: nothing weak")


def _keeping(stack: StackContext, model: Model, secret: SecretFile) -> list[str]:
    """Return the services that took the password into their data at the first start."""
    known = load(stack.product_files)
    found = {name: known.of_service(model.service(name)) for name in secret.services}
    return [name for name, one in found.items() if one and one.keeps_password]


def weakness(secret: SecretFile) -> Verdict | None:
    """Return the verdict on a weak secret, None on a good one."""
    text = (secret.file.content or b"").decode(errors="replace").strip()
    repair = f"{command('rm', secret.file.path)} && invoke init"
    about = secret.name
    if secret.file.path.suffix == ".json":
        try:
            json.loads(text)
        except ValueError:
            return fail(f"the secret {secret.name} is not JSON", repair, about=about)
        return None
    if is_placeholder(text):
        state = "is empty" if not text else "is a placeholder"
        return fail(f"the secret {secret.name} {state}", repair, about=about)
    if "password" in secret.name and is_weak(text):
        return warn(f"the secret {secret.name} is easy to guess", repair, about=about)
    return None
