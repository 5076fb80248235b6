"""After an update: record what is deployed, and keep the image that it replaced."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from compose_ops.rollout import deployments
from compose_ops.rollout.deployments import Deployment, RetainedImage
from compose_ops.rollout.plan import Plan
from compose_ops.rollout.request import ImageChoice
from compose_ops.runtime.context import StackContext
from compose_ops.state.decode import decode


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    """
    What an update leaves when it is done: what is deployed of its service then.

    `replaced` is the image to retain for a rollback, None for none; `given_up` are the
    tags of those that are retained no longer.
    """

    deployment: Deployment
    replaced: RetainedImage | None
    given_up: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "DeploymentRecord":
        return decode(data, cls)


def recorded(
    stack: StackContext,
    planned: Plan,
    choice: ImageChoice | None,
    *,
    is_rollback: bool,
    nameless: bool = False,
) -> DeploymentRecord:
    """Return what *planned* leaves; with *choice* None what is deployed stays so."""
    current = deployments.read(stack.state).of(planned.service)
    old = None if is_rollback else _replaced(stack, planned, current)
    image, name = (
        (current.image, current.name) if choice is None else (choice.image, choice.name)
    )
    if is_rollback:
        current = replace(current, previous=current.previous[:-1])
    current, given_up = deployments.after_update(current, old, image=image, name=name)
    current = replace(current, nameless=current.nameless or nameless)
    return DeploymentRecord(current, old, tuple(image.tag for image in given_up))


def settle(stack: StackContext, service: str, record: DeploymentRecord) -> None:
    """Write the record down; a second time it changes nothing."""
    old = record.replaced
    if old and stack.engine.image(old.id):
        stack.engine.tag(old.id, old.tag)
    now = deployments.read(stack.state)
    deployments.write(stack.state, now.with_(service, record.deployment))
    for tag in record.given_up:
        if tag != record.deployment.image and stack.engine.image(tag):
            stack.engine.remove_image(tag)


def _replaced(
    stack: StackContext, planned: Plan, current: Deployment
) -> RetainedImage | None:
    """Return the image that is replaced; None where no replica of it is healthy."""
    for old in (slot.old for slot in planned.changing):
        if (
            old is not None
            and old.is_healthy
            and old.image_id != planned.wanted.image_id
            and stack.engine.image(old.image_id)
        ):
            name = current.name or old.image
            return deployments.retained(
                stack.project, planned.service, old.image_id, name
            )
    return None
