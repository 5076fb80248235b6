"""The stack file of a project, to deploy and to print."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from compose_ops import redaction
from compose_ops.console import say
from compose_ops.docker.api import DIRECTORY_LABEL, FILES_LABEL
from compose_ops.project.paths import STATE
from compose_ops.runtime.context import StackContext
from compose_ops.state import fingerprint
from compose_ops.swarm import files, images
from compose_ops.swarm.stackfile import Loss, StackFile
from compose_ops.swarm.translate import translate

SCRATCH = "swarm-files"


def render(
    stack: StackContext, *, deployed: Mapping[str, str] | None = None
) -> StackFile:
    """
    Return the stack file of a project, secrets of the compose files included.

    *deployed* are references with digests, by service; without them what will be
    pushed is named by its tag. Raises ConfigurationError for what Swarm has no
    equivalent for.
    """
    marking = partial(fingerprint.fingerprint, fingerprint.key_of(stack.root))
    scratch = stack.root / STATE / SCRATCH
    tags = {name: image.remote for name, image in images.pushed(stack).items()}
    return translate(
        stack.model,
        images={**tags, **(deployed or {})},
        sources=files.collect(stack.model, marking, scratch),
        labels=labels(stack),
    )


def labels(stack: StackContext) -> dict[str, str]:
    """Return the labels of a service that tell how the stack was started."""
    return {
        DIRECTORY_LABEL: str(stack.root),
        FILES_LABEL: ",".join(map(str, stack.mode.files)),
    }


def printed(stack: StackContext) -> dict[str, Any]:
    """
    Return the stack file as `docker stack deploy` takes it by hand; say what is lost.

    Secrets in the environment of services are variables of the shell instead.
    """
    made = render(stack)
    say_losses(made.losses)
    found = dict(made.content)
    found["services"] = {
        name: _without_secrets(name, service)
        for name, service in made.content["services"].items()
    }
    return found


def say_losses(losses: tuple[Loss, ...]) -> None:
    for loss in losses:
        say(f"warning: {loss}")


def _without_secrets(name: str, service: Mapping[str, Any]) -> dict[str, Any]:
    environment = dict(_open_variables(name, service.get("environment") or {}))
    found = {**service, "environment": environment} if environment else dict(service)
    for key, value in found.items():
        if key != "environment" and redaction.clean_tree(value, key) != value:
            say(f"warning: {name}: {key}: a secret in it is printed as [redacted]")
    return found


def _open_variables(
    service: str, variables: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    for name, value in variables.items():
        if redaction.clean_tree(value, name) == value:
            yield name, value
        else:
            say(
                f"warning: {service}: environment.{name}: a secret: set it in the shell"
            )
            yield name, f"${{{name}:?set it in the shell}}"
