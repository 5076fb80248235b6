"""Which image an update deploys, and how it is made or fetched."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from compose_ops.console import say
from compose_ops.docker.api import Engine
from compose_ops.errors import EngineError
from compose_ops.project.labels import with_labels
from compose_ops.project.model import Model
from compose_ops.rollout import deployments
from compose_ops.rollout.request import ImageChoice
from compose_ops.runtime import stale_images
from compose_ops.runtime.context import StackContext
from compose_ops.state import store

CANDIDATES = "candidate-*.yml"
REGISTRY_SECONDS = 15.0


def given(stack: StackContext, service: str, reference: str) -> ImageChoice:
    """
    Return *reference* as a choice, pulled where it is not here.

    It is deployed under a tag of its own, so that moving *reference* changes nothing.
    """
    if stack.engine.image(reference) is None:
        output = stack.engine.docker("pull", "--quiet", reference)
        if output.code != 0:
            raise _absent(reference, output.stderr.strip())
    found = stack.engine.image(reference)
    if found is None:
        raise EngineError(f"the image {reference} was removed after it was pulled")
    retained = deployments.retain(
        stack.engine, stack.project, service, found.id, reference
    )
    return ImageChoice(retained.tag, reference)


def planned(stack: StackContext, service: str, reference: str) -> ImageChoice:
    """Return what `given` would, without pulling or tagging anything."""
    found = stack.engine.image(reference)
    tag = (
        deployments.retained(stack.project, service, found.id, reference).tag
        if found
        else reference
    )
    return ImageChoice(tag, reference)


def require_pullable(engine: Engine, reference: str) -> None:
    """Raise EngineError when no registry has *reference* right now."""
    if not engine.registry_answers(reference, timeout=REGISTRY_SECONDS):
        raise _absent(reference)


def _absent(reference: str, detail: str = "") -> EngineError:
    return EngineError(
        f"the image {reference} was not found and cannot be pulled",
        hint="docker images lists the local ones; --build builds from the files",
        detail=detail,
    )


def made(stack: StackContext, service: str) -> None:
    """Build the image that the files name or, where they build none, pull it."""
    if not stack.model.service(service).get("build"):
        if stack.engine.image(stack.model.image_name(service)) is None:
            stack.engine.pull([service])
        return
    stack.collaborators.prepare_images(stack)
    say(f"building {service}")
    stale_images.build(stack, [service])


def candidate(
    stack: StackContext,
    service: str,
    choice: ImageChoice | None,
    *,
    nameless: bool = False,
) -> Engine:
    """
    Return the engine with the compose files as they are after the update.

    With *choice* None what is deployed stays.
    """
    now = deployments.read(stack.state)
    current = now.of(service)
    if choice is not None:
        current = replace(current, image=choice.image, name=choice.name)
    if nameless:
        current = replace(current, nameless=True)
    text = deployments.override(now.with_(service, current))
    if not text:
        return stack.with_files(())
    return stack.with_files((_written(_own(stack), text),))


@contextmanager
def own_file(stack: StackContext) -> Iterator[None]:
    """Remove what `candidate` wrote at the end, and what killed runs left."""
    try:
        yield
    finally:
        for path in stack.state.glob(CANDIDATES):
            number = path.stem.rpartition("-")[2]
            if path == _own(stack) or not Path(f"/proc/{number}").exists():
                path.unlink(missing_ok=True)


def model_of(stack: StackContext, engine: Engine) -> Model:
    """Return the model that *engine* merges, with the settings of the project."""
    return Model(with_labels(engine.model(), stack.service_settings))


def _own(stack: StackContext) -> Path:
    """Return a file that no other process writes: Compose reads it at each step."""
    return stack.state / CANDIDATES.replace("*", str(os.getpid()))


def _written(path: Path, text: str) -> Path:
    store.write(path, text)
    return path
