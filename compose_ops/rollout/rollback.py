"""Return to the image that served before the last update."""

from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.rollout import deployments
from compose_ops.rollout.plan import short
from compose_ops.rollout.request import ImageChoice, UpdateRequest
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.update import update
from compose_ops.runtime.context import StackContext


def rollback(
    stack: StackContext, service: str, *, timeout: int | None = None
) -> UpdateResult:
    """
    Update *service* to the last image that an update replaced.

    A rollback is not rolled back: the next one goes a step further. Raises
    UsageError when nothing was replaced yet, ConfigurationError when the image was
    removed.
    """
    stack.model.service(service)
    previous = deployments.read(stack.state).of(service).previous
    if not previous:
        raise UsageError(
            f"no update has replaced an image of {service} yet",
            hint=f"invoke rolling-update --service {service} --image NAME deploys one",
        )
    image = previous[-1]
    if stack.engine.image(image.tag) is None:
        if stack.engine.image(image.id) is None:
            raise _pruned(service, image)
        if not stack.dry:
            stack.engine.tag(image.id, image.tag)
    request = UpdateRequest(choice=ImageChoice(image.tag, image.name), is_rollback=True)
    return update(stack, service, request, timeout=timeout)


def _pruned(service: str, image: deployments.RetainedImage) -> ConfigurationError:
    return ConfigurationError(
        f"the previous image {image.name} ({short(image.id)}) was removed, by docker "
        "image prune -a or docker rmi",
        hint="check out the version that it was built from and run invoke "
        f"rolling-update --service {service} --build, or name one with --image",
    )
