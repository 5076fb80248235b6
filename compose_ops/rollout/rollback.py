"""Back to the image that served before the last update."""

from compose_ops.errors import ConfigurationError, UsageError
from compose_ops.rollout import deployments
from compose_ops.rollout.image_choice import ImageChoice
from compose_ops.rollout.plan import short
from compose_ops.rollout.result import UpdateResult
from compose_ops.rollout.update import UpdateRequest, update
from compose_ops.runtime.context import StackContext


def rollback(
    stack: StackContext, service: str, *, timeout: int | None = None
) -> UpdateResult:
    """
    Update *service* to the last image that an update replaced.

    A rollback is not itself gone back from: the next one goes a step further. Raises
    UsageError when nothing was replaced yet, ConfigurationError when the image is gone.
    """
    stack.model.service(service)
    previous = deployments.read(stack.state).of(service).previous
    if not previous:
        raise UsageError(
            f"no update has replaced an image of {service} yet",
            hint=f"invoke rolling-update --service {service} --image NAME deploys one",
        )
    kept = previous[-1]
    if stack.engine.image(kept.tag) is None:
        if stack.engine.image(kept.id) is None:
            raise _gone(service, kept)
        if not stack.dry:
            stack.engine.tag(kept.id, kept.tag)
    wish = UpdateRequest(choice=ImageChoice(kept.tag, kept.name), is_rollback=True)
    return update(stack, service, wish, timeout=timeout)


def _gone(service: str, kept: deployments.RetainedImage) -> ConfigurationError:
    return ConfigurationError(
        f"the previous image {kept.name} ({short(kept.id)}) is gone: docker image "
        "prune -a or docker rmi took it",
        hint="check out the version that it was built from and run invoke "
        f"rolling-update --service {service} --build, or name one with --image",
    )
