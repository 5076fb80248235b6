"""What the tasks that start and stop containers share: plans, builds, notes."""

from collections.abc import Sequence

from compose_ops.console import say
from compose_ops.runtime import stale_images
from compose_ops.runtime.context import StackContext


def say_what_stays(stack: StackContext) -> None:
    updates = stack.collaborators.rollout
    for line in updates.notes(stack):
        say(line)


def build_images(stack: StackContext, *names: str, cache: bool = True) -> None:
    say("building " + ", ".join(names))
    stale_images.build(stack, names, cache=cache)


def print_plan(steps: Sequence[str]) -> None:
    for step in steps:
        say(f"would {step}")
    if not steps:
        say("nothing to do")
