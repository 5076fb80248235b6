"""After an update: record what is deployed, and keep the image that it replaced."""

from dataclasses import replace

from jimbot_stack.engine import Container
from jimbot_stack.stack import Stack

from . import deployed, images
from .images import Choice
from .plan import Plan


def settle(
    stack: Stack,
    service: str,
    choice: Choice | None,
    planned: Plan,
    *,
    is_rollback: bool,
    nameless: bool = False,
) -> None:
    """Record what is deployed, and keep the image that was replaced."""
    now = deployed.read(stack.state)
    mine = now.of(service)
    old = None if is_rollback else _replaced(stack, service, planned, mine)
    image, name = (
        (mine.image, mine.name)
        if choice is None
        else (
            choice.image,
            choice.name,
        )
    )
    if is_rollback:
        mine = replace(mine, previous=mine.previous[:-1])
    mine, given_up = deployed.after_update(mine, old, image=image, name=name)
    mine = replace(mine, nameless=mine.nameless or nameless)
    deployed.write(stack.state, now.with_(service, mine))
    (stack.state / images.CANDIDATE).unlink(missing_ok=True)
    for kept in given_up:
        if kept.tag != image and stack.engine.image(kept.tag):
            stack.engine.remove_image(kept.tag)


def _replaced(
    stack: Stack, service: str, planned: Plan, mine: deployed.Deployment
) -> deployed.Kept | None:
    """Return the image that the update replaced, tagged; None when none was."""
    olds: list[Container] = [s.old for s in planned.changing if s.old]
    other = [c for c in olds if c.image_id != planned.wanted.image_id]
    if not other or stack.engine.image(other[0].image_id) is None:
        return None
    return deployed.keep(
        stack.engine,
        stack.project,
        service,
        other[0].image_id,
        mine.name or other[0].image,
    )
