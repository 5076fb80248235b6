"""Start the stack and wait until all of it is healthy."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

from compose_ops.console import confirm, say
from compose_ops.errors import ComposeOpsError
from compose_ops.runtime import config_hashes, reconcile, stale_images
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.wait import wait
from compose_ops.stack import local_images
from compose_ops.stack.plan import build_images, print_plan, say_what_stays
from compose_ops.state.recovery import exclusive

QUICK_SECONDS = 2.0  # in which Compose ends when nothing is to do


def up(
    stack: StackContext,
    services: Iterable[str] = (),
    *,
    build: bool = False,
    timeout: int | None = None,
) -> None:
    """
    Make the stack run as its mode says, and return when all of it is healthy.

    Raises ConfigurationError before anything is changed, UnhealthyError with the
    failing service's evidence afterwards.
    """
    updates = stack.collaborators.rollout
    stack.require("versions")
    names = stack.model.check_services(services)
    wanted = stack.model.dependencies(names or stack.model.services)
    stack.require("up", services=wanted)
    seen, change = stack.everyone, _asked(stack, _reconciliation(stack))
    if stack.mode_reason:
        say(f"mode: {stack.mode} ({stack.mode_reason})")
    say_what_stays(stack)
    unbuilt = stale_images.stale(stack, wanted)
    if build:
        unbuilt = [n for n in wanted if stack.model.service(n).get("build")]
    plan = [
        *change.steps(),
        *(f"build {name}" for name in unbuilt),
        *(f"start {name} and wait until it is healthy" for name in wanted),
    ]
    if stack.dry:
        print_plan(plan)
        return
    with exclusive(stack, "invoke up", services=wanted if names else None):
        if stack.everyone is not seen:
            change = replace(_reconciliation(stack), orphans=change.orphans)
        reconcile.execute(change, stack.engine)
        rolled = updates.rolled(stack, wanted)
        made = [n for n in rolled if n in unbuilt]
        _prepare_images(stack, [n for n in unbuilt if n not in made], build=build)
        updates.update(stack, made, make=partial(build_images, stack), timeout=timeout)
        updates.update(stack, [n for n in rolled if n not in made], timeout=timeout)
        if change.services:
            # Compose 2.26 does not see that a network of theirs was recreated.
            stack.engine.up(change.services, recreate="always", start=False)
        more = [n for n in change.services if names and n not in wanted]
        _start(stack, [*names, *more], [*wanted, *more], timeout)
        config_hashes.remember(stack)


def _asked(
    stack: StackContext, change: reconcile.Reconciliation
) -> reconcile.Reconciliation:
    """
    Return *change* without the orphans that are to stay.

    A change of mode leaves those of the other mode behind, and names both; otherwise a
    service was taken out of the files, and what runs of it may still be wanted.
    """
    switches = stack.started_as not in {None, stack.mode}
    if not change.orphans or switches or stack.dry:
        return change
    names = ", ".join(c.name for c in change.orphans)
    if confirm(f"No service of the compose files has {names}: remove?", yes=False):
        return change
    say(f"{names}: no service of the compose files; docker rm -f removes them")
    return replace(change, orphans=())


def _reconciliation(stack: StackContext) -> reconcile.Reconciliation:
    updates = stack.collaborators.rollout
    label = "com.docker.compose.project"
    change = reconcile.plan(
        stack.model,
        stack.everyone,
        [n for n in stack.engine.networks() if n.labels.get(label) == stack.project],
        stack.engine.volumes(project=stack.project),
        profiled=stack.engine.profiled_services,
    )
    if change.networks:
        updates.refuse_to_cut(stack, change.networks, change.containers)
    return change


def _prepare_images(stack: StackContext, names: Sequence[str], *, build: bool) -> None:
    if build or local_images.missing_images(stack):
        local_images.prepare(stack)
    if names:
        build_images(stack, *names)


def _start(
    stack: StackContext,
    names: Sequence[str],
    wanted: Sequence[str],
    timeout: int | None,
) -> None:
    failures: list[ComposeOpsError] = []

    def compose() -> None:
        try:
            stack.engine.up(names)
        except ComposeOpsError as refused:
            failures.append(refused)

    thread = threading.Thread(target=compose, daemon=True)
    thread.start()
    thread.join(QUICK_SECONDS)
    wait(stack, set(wanted), timeout, while_running=thread, failures=failures)
