"""Start, stop, restart and rebuild the stack."""

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from compose_ops.console import confirm, say
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError, EngineError, UsageError
from compose_ops.runtime import config_hashes, reconcile, stale_images
from compose_ops.runtime.context import StackContext
from compose_ops.runtime.wait import wait
from compose_ops.stack import local_images, removals
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
    _say_what_stays(stack)
    unbuilt = stale_images.stale(stack, wanted)
    if build:
        unbuilt = [n for n in wanted if stack.model.service(n).get("build")]
    plan = [
        *change.steps(),
        *(f"build {name}" for name in unbuilt),
        *(f"start {name} and wait until it is healthy" for name in wanted),
    ]
    if stack.dry:
        _print_plan(plan)
        return
    with exclusive(stack, "invoke up", services=wanted if names else None):
        if stack.everyone is not seen:
            change = replace(_reconciliation(stack), orphans=change.orphans)
        reconcile.execute(change, stack.engine)
        rolled = updates.rolled(stack, wanted)
        made = [n for n in rolled if n in unbuilt]
        _prepare_images(stack, [n for n in unbuilt if n not in made], build=build)
        updates.update(stack, made, make=partial(_build, stack), timeout=timeout)
        updates.update(stack, [n for n in rolled if n not in made], timeout=timeout)
        if change.services:
            # Compose 2.26 does not see that a network of theirs was recreated.
            stack.engine.up(change.services, recreate="always", start=False)
        _start(stack, names, wanted, timeout)
        config_hashes.remember(stack)


def down(stack: StackContext, *, volumes: bool = False, yes: bool = False) -> None:
    """
    Remove containers and networks; with *volumes* the data too, when confirmed.

    What is removed is what was announced. Raises UsageError when the project's name is
    not typed, ConfigurationError when others use a volume.
    """
    updates = stack.collaborators.rollout
    removal = removals.plan(stack, volumes=volumes)
    if stack.dry:
        _print_plan(removal.steps())
        return
    if removal.volumes:
        say("this destroys: " + ", ".join(removal.volumes))
        question = f"The data of {stack.project} will be lost."
        if not confirm(question, yes=yes, expected=stack.project):
            raise UsageError(
                "nothing was removed: the project's name was not typed",
                hint="invoke backup --all keeps the data; --yes answers for a script",
            )
    with exclusive(stack, "invoke down", services=(), skip=("update",)):
        stack.engine.down(volumes=False)
        for name in removal.volumes:
            if stack.engine.volume(name) is not None:
                stack.engine.remove_volume(name)
        updates.all_removed(stack)
        if removal.volumes:
            stack.collaborators.backups.forget_removed_volumes(stack)


def restart(
    stack: StackContext, services: Iterable[str] = (), *, timeout: int | None = None
) -> None:
    """
    Restart what runs of the services, and wait until it is healthy again.

    A gateway is left alone unless it is named: nobody would be served meanwhile.
    """
    updates = stack.collaborators.rollout
    named = stack.model.check_services(services)
    names = set(named or stack.model.services)
    spared = set() if named else updates.gateways(stack)
    names |= {follower for name in names for follower in stack.model.followers(name)}
    running = _running(stack, names - spared)
    if not running:
        raise UsageError("no matching containers run", hint="invoke up starts them")
    if stack.dry:
        _print_plan([f"restart container {c.name}" for c in running])
        return
    _say_what_stays(stack)
    for name in sorted(spared):
        say(f"{name} goes on serving; invoke restart --service {name} restarts it")
    with exclusive(stack, "invoke restart", services=named or None):
        running = _running(stack, names - spared)
        rolled = updates.rolled(stack, {c.service for c in running})
        updates.update(stack, rolled, because="to be restarted", timeout=timeout)
        others = [c for c in running if c.service not in rolled]
        for batch in _in_turn(stack, others):
            stack.engine.restart(*(c.id for c in batch))
        wait(stack, {c.service for c in running}, timeout)


def _running(stack: StackContext, names: Collection[str]) -> list[Container]:
    return [c for c in stack.containers if c.is_running and c.service in names]


def _in_turn(
    stack: StackContext, containers: Sequence[Container]
) -> Iterator[list[Container]]:
    """
    Yield containers in batches: who follows another restarts after it.

    A container in the namespace of another keeps a dead one unless it starts later.
    """
    left = list(containers)
    while left:
        names = {c.service for c in left}
        held = {f for name in names for f in stack.model.followers(name)}
        batch = [c for c in left if c.service not in held] or left
        yield batch
        left = [c for c in left if c not in batch]


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
        _print_plan(
            [f"build {n}{layers}" for n in names] + [f"recreate {n}" for n in running]
        )
        return
    stack.require("versions")
    with exclusive(stack, "invoke rebuild"):
        local_images.prepare(stack)
        rolled = updates.rolled(stack, running)
        make = partial(_build, stack, cache=cache)
        if alone := [n for n in names if n not in rolled]:
            make(*alone)
        updates.update(stack, rolled, because="rebuilt", make=make, timeout=timeout)
        if others := [n for n in running if n not in rolled]:
            _recreate(stack, others)
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


def logs(
    stack: StackContext, services: Iterable[str], *, tail: int | None, follow: bool
) -> None:
    """Print what services wrote; EngineError when Docker refuses."""
    names = stack.model.check_services(services)
    code = stack.engine.follow_logs(names, tail=tail, follow=follow)
    if code != 0:
        raise EngineError(
            f"docker compose logs ended with exit code {code}",
            hint="invoke status shows what there is",
        )


def _say_what_stays(stack: StackContext) -> None:
    updates = stack.collaborators.rollout
    for line in updates.notes(stack):
        say(line)


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


def _prepare_images(stack: StackContext, names: Sequence[str], *, build: bool) -> None:
    if build or local_images.missing_images(stack):
        local_images.prepare(stack)
    if names:
        _build(stack, *names)


def _build(stack: StackContext, *names: str, cache: bool = True) -> None:
    say("building " + ", ".join(names))
    stale_images.build(stack, names, cache=cache)


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


def _print_plan(steps: Sequence[str]) -> None:
    for step in steps:
        say(f"would {step}")
    if not steps:
        say("nothing to do")
