"""The tags that keep images: each goes when nothing that was deployed needs it."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from jimbot_stack.errors import StackError
from jimbot_stack.stack import Stack

from . import deployed, images


@contextmanager
def released(stack: Stack, service: str, given: str = "") -> Iterator[None]:
    """
    Remove at the end which tags of *service* have lost their use meanwhile.

    That is the tag of an image that was *given* and not deployed after all, and of one
    that a rollback left: it is not gone back to.
    """
    before = _needed(stack, service)
    try:
        yield
    finally:
        with suppress(StackError):
            made = {images.planned(stack, service, given).image} if given else set()
            loose = (before | made - {given}) - _needed(stack, service)
            for tag in sorted(loose):
                if stack.engine.image(tag):
                    stack.engine.remove_image(tag)


def _needed(stack: Stack, service: str) -> set[str]:
    found = deployed.read(stack.state).of(service)
    return {found.image, *(kept.tag for kept in found.previous)} - {""}
