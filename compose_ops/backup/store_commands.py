"""What stores say of themselves: how much they hold, and their version."""

import re
from collections.abc import Sequence

from compose_ops.backup.manifest import is_version
from compose_ops.backup.policy import Policy
from compose_ops.console import say
from compose_ops.docker.api import Container, Engine, RunSpec
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext
from compose_ops.units import whole

SECONDS = 60.0
SECONDS_TO_PREPARE = 3600.0
_NUMBER = re.compile(r"\d+")
_VERSION = re.compile(r"\d+(?:\.\d+)+")
_TAG = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_+].*)?")


def count(engine: Engine, policy: Policy, container: Container) -> int | None:
    """Return the last number that the count command prints, None for none."""
    if not policy.count or not container.is_running:
        return None
    output = engine.execute(
        container.id,
        [policy.shell, "-c", policy.count],
        user=policy.user,
        timeout=SECONDS,
    )
    numbers = _NUMBER.findall(output.stdout)
    return whole(numbers[-1]) if output.code == 0 and numbers else None


def prepared(engine: Engine, policy: Policy, container: Container, mark: str) -> str:
    """
    Run probe and prepare command; return "" or why native is not possible.

    All that they start has *mark*, a NAME=VALUE, in its environment.
    """
    for command in (policy.probe, policy.prepare):
        if command:
            output = engine.execute(
                container.id,
                [policy.shell, "-c", command],
                user=policy.user,
                environment=dict([mark.split("=", 1)]),
                timeout=SECONDS_TO_PREPARE,
            )
            if output.code != 0:
                said = (output.stderr + output.stdout).strip().splitlines()
                return said[-1] if said else f"exit code {output.code}"
    return ""


def data_folder(engine: Engine, policy: Policy, container: Container) -> str:
    """Return the folder that a running store says its data lies in, "" for no word."""
    if not policy.ask or not container.is_running:
        return ""
    output = engine.execute(
        container.id,
        [policy.shell, "-c", policy.ask],
        user=policy.user,
        timeout=SECONDS,
    )
    lines = output.stdout.strip().splitlines()
    found = lines[-1].strip() if output.code == 0 and lines else ""
    return found if found.startswith("/") else ""


def check(engine: Engine, policy: Policy, container: Container) -> str:
    """Run the check for a drill; return "" when it passes, or what it said."""
    output = engine.execute(
        container.id,
        [policy.shell, "-c", policy.check],
        user=policy.user,
        timeout=SECONDS_TO_PREPARE,
    )
    if output.code == 0:
        return ""
    said = (output.stderr + output.stdout).strip().splitlines()
    return said[-1] if said else f"exit code {output.code}"


def image_of(stack: StackContext, service: str, there: Sequence[Container]) -> str:
    """Return the image that a service runs on, or would."""
    for container in there:
        if container.service == service:
            return container.image_id
    named = stack.model.service(service).get("image")
    return str(named or f"{stack.project}-{service}")


def version(stack: StackContext, policy: Policy, there: Sequence[Container]) -> str:
    """
    Return the store's version, "" when nothing tells it.

    It is what the version command prints in the store's image, else the image's tag.
    """
    if policy.version:
        return version_in(stack.engine, policy, image_of(stack, policy.service, there))
    return tagged(str(stack.model.service(policy.service).get("image", "")))


def version_of(engine: Engine, policy: Policy, image: str, *, name: str) -> str:
    """Return a store's version in *image*, which is called *name*; "" for unknown."""
    return version_in(engine, policy, image) if policy.version else tagged(name)


def tagged(name: str) -> str:
    """
    Return the version that the tag of an image's name says, "" for none.

    >>> tagged("docker.io/library/postgres:15.4-alpine"), tagged("app:20240115123045")
    ('15.4', '')
    """
    tag = name.partition("@")[0].rpartition("/")[2].partition(":")[2]
    match = _TAG.fullmatch(tag)
    return match[1] if match and is_version(match[1]) else ""


def version_in(engine: Engine, policy: Policy, image: str) -> str:
    """Return what the version command prints in an image, "" for no number."""
    output = engine.run(
        RunSpec(image=image, command=["-c", policy.version], entrypoint=policy.shell),
        timeout=SECONDS,
    )
    found = _VERSION.search(output.stdout + output.stderr)
    return found[0] if found and is_version(found[0]) else ""


def check_version(service: str, *, kept: str, present: str) -> None:
    """Refuse data of another major version, or of a newer one. DataError."""
    if not kept or not present:
        whose = "in the set" if present else "here"
        say(f"warning: the version of {service} is unknown {whose} and not compared")
        return
    old, new = _numbers(kept), _numbers(present)
    if old[0] == new[0] and old <= new:
        return
    raise DataError(
        f"the set is from {service} {kept}, here is {present}",
        hint="run the set's version (its tag stands in .env or the compose files), "
        "or take a set of this one",
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
