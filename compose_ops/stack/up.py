"""Start the stack and wait until all of it is healthy."""

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from compose_ops.console import can_ask, confirm, say
from compose_ops.docker.api import Network, Volume
from compose_ops.errors import ComposeOpsError, DataError, UsageError
from compose_ops.project.labels import GATEWAY_LABEL
from compose_ops.runtime import (
    config_hashes,
    contents,
    current,
    reconcile,
    stale_images,
)
from compose_ops.runtime.context import StackContext, VersionJump
from compose_ops.runtime.followers import followed
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
    threading.Thread(target=stack.engine.preload, daemon=True).start()
    names = stack.model.check_services(services)
    wanted = stack.model.dependencies(names or stack.model.services)
    stack.require("up", services=wanted)
    jumps = stack.collaborators.backups.version_jumps(stack, wanted)
    _confirm_jumps(jumps, dry=stack.dry)
    seen = stack.everyone
    change = _asked(stack, _reconciliation(stack, stack.networks, stack.volumes))
    if stack.mode_reason:
        say(f"mode: {stack.mode} ({stack.mode_reason})")
    say_what_stays(stack)
    unbuilt = stale_images.stale(stack, wanted)
    if build:
        unbuilt = [n for n in wanted if stack.model.service(n).get("build")]
    replaced = contents.outdated(contents.look(stack), stack.containers)
    plan = [
        *(f"build {name}" for name in unbuilt),
        *change.steps(),
        *(
            f"recreate {name}: {why}"
            for name, why in replaced.items()
            if name in wanted
        ),
        *(
            f"start {name} and wait until it is healthy"
            for name in wanted
            if stack.model.replicas(name)
        ),
    ]
    if stack.dry:
        print_plan(plan)
        return
    with (
        exclusive(stack, "invoke up", services=wanted if names else None),
        contents.remembered(stack) as before,
        followed(stack, wanted, timeout) as follow,
    ):
        if stack.everyone is not seen:
            volumes = stack.engine.volumes(project=stack.project)
            now = _reconciliation(stack, stack.engine.networks(), volumes)
            change = replace(now, orphans=change.orphans)
        rolled = updates.rolled(stack, wanted, stopped=change.services)
        made = [n for n in rolled if n in unbuilt and not _joins(stack, n, change)]
        _prepare_images(stack, [n for n in unbuilt if n not in made], build=build)
        if change.steps():
            _complete_images(stack, [*wanted, *change.services], but=made)
        updates.update(stack, made, make=partial(build_images, stack), timeout=timeout)
        # Whatever can fail for its image has its image now, while all still runs.
        reconcile.execute(change, stack.engine)
        updates.update(stack, [n for n in rolled if n not in made], timeout=timeout)
        if change.services:
            # Compose 2.26 does not see that a network of theirs was recreated.
            stack.engine.up(change.services, recreate="always", start=False)
        _unpause(stack, wanted)
        replaced = contents.outdated(before, stack.containers)
        replaced |= _disconnected(stack, wanted)
        replaced = {n: why for n, why in replaced.items() if n in wanted}
        _recreate(stack, replaced, but=[*rolled, *change.services])
        more = [n for n in change.services if names and n not in wanted]
        named, all_named = [*names, *more], [*wanted, *more]
        begin = partial(_start, stack, named, all_named, timeout, follow)
        updates.start(stack, wanted, begin)
        config_hashes.remember(stack)


def _recreate(
    stack: StackContext, replaced: Mapping[str, str], *, but: Collection[str]
) -> None:
    """
    Recreate services whose contents were replaced, which Compose does not see.

    Those of *but* are new already.
    """
    names = dict.fromkeys(n for n in replaced if n not in but)
    for name in names:
        say(f"recreating {name}: {replaced[name]}")
    if names:
        stack.engine.up(list(names), recreate="always", start=False)


def _unpause(stack: StackContext, wanted: Collection[str]) -> None:
    """Let what somebody paused go on: Compose can neither start nor replace it."""
    paused = [
        c for c in stack.containers if c.state == "paused" and c.service in wanted
    ]
    for container in paused:
        say(f"{container.name} is paused: going on with it")
        stack.engine.unpause(container.id)


def _disconnected(stack: StackContext, wanted: Collection[str]) -> dict[str, str]:
    """Return the services with a container that lost a network, which Compose keeps."""
    there = [c for c in stack.containers if c.is_running and c.service in wanted]
    own = {c.service: c.config_hash for c in there}
    if not any(current.lost_networks(stack.model, c, own) for c in there):
        return {}
    hashes = config_hashes.of(stack)
    found: dict[str, str] = {}
    for container in there:
        if lost := current.lost_networks(stack.model, container, hashes):
            found[container.service] = f"is not connected to {', '.join(lost)}"
    return found


def _confirm_jumps(jumps: Sequence[VersionJump], *, dry: bool) -> None:
    """
    Say which stores change their version, and ask on a terminal.

    Without one an older version is a DataError: most stores cannot read data of a newer
    one, and some destroy it.
    """
    for jump in jumps:
        say(str(jump))
    if dry or not jumps:
        return
    back = next((jump for jump in jumps if jump.is_back), None)
    if can_ask():
        if not confirm("The data will be of another version.", yes=False):
            raise UsageError(
                "nothing was changed: the change of version was not confirmed",
                hint="invoke backup keeps the data first",
            )
    elif back is not None:
        raise DataError(
            str(back),
            hint="run the version of the data (its tag stands in .env or the compose "
            "files), or restore a set of the older one; on a terminal you are asked",
        )


def _asked(
    stack: StackContext, change: reconcile.Reconciliation
) -> reconcile.Reconciliation:
    """
    Return *change* without the orphans that are to stay.

    A named mode in place of another leaves those of the other one behind; otherwise
    what runs of them may still be wanted. All are named. A gateway of ours is wanted by
    the configuration alone.
    """
    ours = tuple(c for c in change.orphans if GATEWAY_LABEL in c.labels)
    others = tuple(c for c in change.orphans if c not in ours)
    for container in ours:
        say(f"{container.name} is removed: no [rollout] asks for it any more")
    if not others or stack.dry:
        return change
    names = ", ".join(c.name for c in others)
    if _takes_another_mode(stack):
        say(f"removing {names}: left by the mode {stack.started_as}")
        return change
    if confirm(f"No service of the compose files has {names}: remove?", yes=False):
        return change
    say(f"{names}: no service of the compose files; docker rm -f removes them")
    return replace(change, orphans=ours)


def _takes_another_mode(stack: StackContext) -> bool:
    """Say whether modes that the configuration has replace each other."""
    before, now = stack.started_as, stack.mode
    if before is None or before.has_other_files or now.has_other_files:
        return False
    return (before.names, before.overlays) != (now.names, now.overlays)


def _reconciliation(
    stack: StackContext, networks: Iterable[Network], volumes: Iterable[Volume]
) -> reconcile.Reconciliation:
    updates = stack.collaborators.rollout
    label = "com.docker.compose.project"
    change = reconcile.plan(
        stack.model,
        stack.everyone,
        [n for n in networks if n.labels.get(label) == stack.project],
        volumes,
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


def _complete_images(
    stack: StackContext, names: Iterable[str], *, but: Collection[str]
) -> None:
    """Build or pull what is not here, which Compose would do when it starts *names*."""
    images = {
        name: stack.model.image_name(name)
        for name in names
        if name in stack.model.services and name not in but
        if stack.model.replicas(name)
    }
    there = stack.engine.images(images.values())
    absent = [name for name, image in images.items() if image not in there]
    built = [name for name in absent if stack.model.service(name).get("build")]
    if built:
        build_images(stack, *built)
    if pulled := [name for name in absent if name not in built]:
        say("pulling " + ", ".join(pulled))
        stack.engine.pull(pulled)


def _joins(stack: StackContext, name: str, change: reconcile.Reconciliation) -> bool:
    """Say whether a service is to be on a network that is recreated."""
    keys = stack.model.service(name).get("networks") or ()
    names = {network.name for network in change.networks}
    return not names.isdisjoint(map(stack.model.network_name, keys))


def _start(
    stack: StackContext,
    names: Sequence[str],
    wanted: Sequence[str],
    timeout: int | None,
    follow: Callable[[], None],
) -> None:
    failures: list[ComposeOpsError] = []

    def compose() -> None:
        try:
            stack.engine.up(names)
            follow()
        except ComposeOpsError as refused:
            failures.append(refused)

    thread = threading.Thread(target=compose, daemon=True)
    thread.start()
    thread.join(QUICK_SECONDS)
    wait(stack, set(wanted), timeout, while_running=thread, failures=failures)
