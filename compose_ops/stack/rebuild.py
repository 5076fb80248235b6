"""Build images without the cache and recreate what runs on them."""

from collections.abc import Sequence
from functools import partial

from compose_ops.errors import UsageError
from compose_ops.runtime import contents
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.followers import followed
from compose_ops.runtime.wait import wait
from compose_ops.stack import local_images
from compose_ops.stack.plan import build_images, print_plan
from compose_ops.state.recovery import exclusive


def rebuild(
    stack: StackContext,
    services: Sequence[str],
    *,
    cache: bool = False,
    timeout: int | None = None,
) -> None:
    """Build images anew, recreate what runs on them, and wait for health."""
    updates = stack.collaborators.rollout
    names = stack.model.check_services(services) or tuple(
        name for name, service in stack.model.services.items() if service.get("build")
    )
    for name in names:
        if image := updates.pinned(stack, name):
            raise UsageError(
                f"{name} stays on {image}, deployed by an update",
                hint=f"invoke rolling-update --service {name} --build builds and "
                "deploys what the files say",
            )
        if not stack.model.service(name).get("build"):
            raise UsageError(
                f"{name} has no Dockerfile here, it runs a ready-made image",
                hint="invoke up pulls what the compose files name",
            )
    running = [n for n in names if any(c.service == n for c in stack.containers)]
    if stack.dry:
        layers = "" if cache else " without the cache"
        print_plan(
            [f"build {n}{layers}" for n in names] + [f"recreate {n}" for n in running]
        )
        return
    stack.require("versions")
    with (
        exclusive(stack, "invoke rebuild"),
        contents.remembered(stack),
        followed(stack, names, timeout) as follow,
    ):
        local_images.prepare(stack)
        rolled = updates.rolled(stack, running)
        make = partial(build_images, stack, cache=cache)
        if alone := [n for n in names if n not in rolled]:
            make(*alone)
        updates.update(stack, rolled, because="rebuilt", make=make, timeout=timeout)
        if others := [n for n in running if n not in rolled]:
            _recreate(stack, others)
            follow()
        if running:
            wait(stack, set(running), timeout)


def _recreate(stack: StackContext, services: Sequence[str]) -> None:
    """
    Recreate *services* alone, as the next `up` wants them.

    Compose 2.26 takes depends_on out of the hash of what it creates without its
    dependencies, and would recreate it once more; it is told of them unless it could
    then replace all replicas of one at once.
    """
    updates = stack.collaborators.rollout
    needed = set(stack.model.dependencies(services)) - set(services)
    told = not updates.rolled(stack, needed)
    stack.engine.up(services, dependencies=told, recreate="always")
