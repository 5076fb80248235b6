"""The tags that keep images: each goes when nothing that was deployed needs it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from compose_ops.errors import ComposeOpsError
from compose_ops.rollout import deployments, journal
from compose_ops.runtime.context import StackContext


@contextmanager
def released(stack: StackContext, service: str, given: str = "") -> Iterator[None]:
    """
    Remove at the end which tags of *service* have lost their use meanwhile.

    That is the tag of an image that was *given* and not deployed after all, and of one
    that a rollback left: it is not gone back to. What a journal is left for stays.
    """
    before = _needed(stack, service)
    try:
        yield
    finally:
        with suppress(ComposeOpsError):
            if journal.read(stack.state) is None:
                _release(stack, before | _made(stack, service, given), service)


def _release(stack: StackContext, tags: set[str], service: str) -> None:
    for tag in sorted(tags - _needed(stack, service)):
        if stack.engine.image(tag):
            stack.engine.remove_image(tag)


def _made(stack: StackContext, service: str, given: str) -> set[str]:
    found = stack.engine.image(given) if given else None
    if found is None:
        return set()
    return {deployments.retained(stack.project, service, found.id, given).tag}


def _needed(stack: StackContext, service: str) -> set[str]:
    found = deployments.read(stack.state).of(service)
    return {found.image, *(image.tag for image in found.previous)} - {""}
