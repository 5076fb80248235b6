"""Deploy the project on a Swarm and wait until all of it is healthy."""

import re
import time
from collections.abc import Mapping
from typing import Any

import yaml

from compose_ops import redaction
from compose_ops.console import say
from compose_ops.errors import EngineError
from compose_ops.runtime import stale_images
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.health import Clock
from compose_ops.state.recovery import exclusive
from compose_ops.swarm import convergence, images, preflight, render

CLOCK = Clock(now=time.monotonic, sleep=time.sleep)
TRIES = 10
SECONDS_BETWEEN = 3.0
PASSES = re.compile(
    r"does not have a leader|network \S+ not found|update out of sequence|"
    r"lost quorum|is being removed"
)
"""What a deploy is refused with while managers elect, or a stack is being removed."""


def up(stack: StackContext, *, build: bool = False, timeout: int | None = None) -> None:
    """
    Build, push and deploy a project, and return when all of it is healthy.

    Nothing is remembered that an interrupted run could leave wrong: the next one
    builds, pushes and deploys what is missing. Raises ConfigurationError before
    anything is changed, EngineError for a registry that refuses, RolledBack or
    UnhealthyError with the tasks' own words afterwards.
    """
    preflight.require_manager(stack)
    preflight.require_not_here(stack)
    planned = render.render(stack)
    nodes = preflight.require_nodes(stack, planned.content)
    wanted = images.pushed(stack)
    unbuilt = _unbuilt(stack, build=build)
    render.say_losses(planned.losses)
    if stack.dry:
        _print_plan(unbuilt, wanted, planned.content)
        return
    with exclusive(stack, "invoke up"):
        if wanted:
            stack.collaborators.prepare_images(stack)
        if unbuilt:
            say("building " + ", ".join(unbuilt))
            stale_images.build(stack, unbuilt)
        deployed = _pushed(stack, wanted)
        content = render.render(stack, deployed=deployed).content
        earlier = convergence.before(stack.engine, stack.project)
        _deploy(stack, content)
        limit = stack.model.patience() + convergence.PULL_SECONDS
        convergence.wait(
            stack.engine,
            stack.project,
            convergence.wanted(content, nodes),
            earlier=earlier,
            timeout=limit if timeout is None else float(timeout),
            clock=CLOCK,
        )
        _remove_unused(stack, content)


def _unbuilt(stack: StackContext, *, build: bool) -> list[str]:
    names = list(stack.model.services)
    if build:
        return [name for name in names if stack.model.service(name).get("build")]
    return stale_images.stale(stack, names)


def _pushed(stack: StackContext, wanted: Mapping[str, images.Pushed]) -> dict[str, str]:
    """Push images, each once; return their references with digests, by service."""
    digests: dict[images.Pushed, str] = {}
    for image in wanted.values():
        if image not in digests:
            say(f"pushing {image.remote}")
            stack.engine.tag(image.local, image.remote)
            digests[image] = stack.engine.push(image.remote)
    return {name: digests[image] for name, image in wanted.items()}


def _deploy(stack: StackContext, content: Mapping[str, Any]) -> None:
    """Deploy, again while the managers elect a leader or remove an older stack."""
    say(f"deploying {stack.project}: {len(content['services'])} services")
    for left in reversed(range(TRIES)):
        try:
            stack.engine.deploy_stack(stack.project, content)
        except EngineError as refused:
            if not left or not PASSES.search(f"{refused.message}\n{refused.detail}"):
                raise
            CLOCK.sleep(SECONDS_BETWEEN)
        else:
            return


def _remove_unused(stack: StackContext, content: Mapping[str, Any]) -> None:
    """Remove secrets and configs of earlier deploys that no service goes back to."""
    services = stack.engine.stack_services(stack.project)
    used = {name for service in services for name in service.objects}
    for noun in ("secret", "config"):
        named = {one.get("name") for one in (content.get(f"{noun}s") or {}).values()}
        for name in stack.engine.stack_objects(noun, stack.project):
            if name not in used | named:
                stack.engine.remove_object(noun, name)


def _print_plan(
    unbuilt: list[str],
    wanted: Mapping[str, images.Pushed],
    content: Mapping[str, Any],
) -> None:
    for name in unbuilt:
        say(f"would build {name}")
    for image in dict.fromkeys(wanted.values()):
        say(f"would push {image.local} as {image.remote}")
    for name in content["services"]:
        say(f"would deploy {name} and wait until it is healthy")
    say(yaml.safe_dump(redaction.clean_tree(content), sort_keys=False).rstrip())
