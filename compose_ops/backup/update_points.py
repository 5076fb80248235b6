"""Restore points of a store for its update: a copy beside the data, or a proven set."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from compose_ops.backup import (
    data_mounts,
    helper,
    preconditions,
    repository,
    restore_points,
    service_control,
    store_commands,
    verify,
)
from compose_ops.backup.helper import Helper, HelperJob
from compose_ops.backup.policy import Policy, policies_of
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.restore_points import RestorePoint
from compose_ops.backup.restore_targets import parts_of
from compose_ops.backup.transaction import unpack
from compose_ops.errors import ConfigurationError, DataError
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_duration, readable_size, seconds

SET = "SET:"
MARGIN = 1.1
PER_FILE = 0.0002  # seconds
PROVEN = "proven"
OTHER_WAYS = (
    "make room; --restore-point SET takes a proven set instead, --no-restore-point none"
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a copy takes: bytes, free bytes where it lies, seconds."""

    bytes: int
    free: int
    seconds: float
    shared: bool


def has_data(stack: StackContext, service: str) -> bool:
    """Say whether a service keeps data: by its labels, or as a known product."""
    return service in policies_of(stack)


def measure(stack: StackContext, service: str) -> Cost:
    """
    Return what a copy of the data takes; nothing is stopped for that.

    Raises DataError where there is no room, or where others write to the data.
    """
    policy = _policy(stack, service)
    helper.require(stack)
    costs = [_measured(stack, policy, mount.source) for mount in policy.mounts]
    return Cost(
        bytes=sum(cost.bytes for cost in costs),
        free=min(cost.free for cost in costs),
        seconds=sum(cost.seconds for cost in costs),
        shared=all(cost.shared for cost in costs),
    )


def _measured(stack: StackContext, policy: Policy, source: str) -> Cost:
    preconditions.check_source(stack, source)
    _require_sole_user(stack, policy, source)
    with _at(stack, "measure", source) as talk:
        found = talk.ask("estimate")
    size, shared = int(found["bytes"]), bool(found["reflinks"])
    files = int(found["files"]) * PER_FILE
    spent = files if shared else files + size / float(found["rate"])
    if not shared and size * MARGIN > found["free"]:
        raise DataError(
            f"no room for a restore point of {policy.service}: {source} holds "
            f"{readable_size(size)}, {readable_size(found['free'])} are free",
            hint=OTHER_WAYS,
        )
    return Cost(size, int(found["free"]), spent, shared)


def _require_sole_user(stack: StackContext, policy: Policy, source: str) -> None:
    for container in service_control.users_of(stack, source):
        own = container.project == stack.project and container.service == policy.service
        if not own:
            raise DataError(
                f"{container.name} writes to {source}, too: a copy of it would not be "
                "of one moment",
                hint=f"stop it first: docker stop {container.name}; {OTHER_WAYS}",
            )


def accept(stack: StackContext, service: str, set_id: str) -> str:
    """Return a set as a restore point; DataError where it does not serve as one."""
    found = repository.choose(stack.backups, stack.project, set_id=set_id)
    manifest = repository.valid_manifest(found)
    if reason := _unfit(stack, service, found):
        raise DataError(
            f"{set_id} is no restore point of {service}: {reason}",
            hint="invoke backup and invoke drill make and prove a set; without "
            "--restore-point the update copies the data itself",
        )
    parts_of(manifest, _policy(stack, service))
    helper.require(stack)
    return f"{SET}{set_id}"


def _unfit(stack: StackContext, service: str, found: BackupSet) -> str:
    manifest = repository.valid_manifest(found)
    text = stack.config.backup.restore_point_age
    most = seconds(text)
    if not most:
        raise ConfigurationError(
            f"backup.restore_point_age is {text!r}, not a duration", hint="such as 24h"
        )
    age = (datetime.now(UTC) - manifest.created_at).total_seconds()
    if manifest.store(service) is None:
        return f"it does not hold {service}"
    if not found.verified or not found.drill or found.drill["result"] != PROVEN:
        return "no drill has proven it"
    if manifest.encrypted:
        return "it is encrypted, and its key would be needed in the middle of a failure"
    if age > most:
        old = readable_duration(age)
        return f"it is {old} old, and backup.restore_point_age is {text}"
    return ""


def make(stack: StackContext, service: str, point: str) -> None:
    """Copy the data of a store that does not run; DataError where something does."""
    if point.startswith(SET):
        return
    policy = _policy(stack, service)
    for source in _sources(policy):
        _require_rest(stack, source)
        with _at(stack, point, source) as talk:
            talk.ask("keep", restore=point)
        _require_rest(stack, source)


def bring_back(stack: StackContext, service: str, point: str) -> None:
    """Put a point's data in the place of what is there, which is removed."""
    policy = _policy(stack, service)
    if point.startswith(SET):
        _unpack(stack, policy, point.removeprefix(SET))
        return
    for source in _sources(policy):
        _require_rest(stack, source)
        with _at(stack, point, source) as talk:
            talk.ask("bring back", restore=point)


def _unpack(stack: StackContext, policy: Policy, set_id: str) -> None:
    """Put a set's data in the place of what is there; each archive is compared."""
    found = repository.choose(stack.backups, stack.project, set_id=set_id)
    manifest = repository.valid_manifest(found)
    for part in parts_of(manifest, policy):
        _require_rest(stack, part.volume)
        run = f"update-{set_id}"
        path = verify.stored(found, manifest, part.archive)
        with verify.source(path, ()) as (end, reading):
            work = HelperJob(
                run=run,
                label=part.volume,
                volume=part.volume,
                archive=end,
                changes=True,
            )
            with helper.helper(stack, work) as talk:
                with reading():
                    unpack(talk, run, manifest, part)
                if policy.repair_command:
                    talk.ask("mend", restore=run, command=policy.repair_command)
                talk.ask("swap in", restore=run)
                talk.ask("discard", restore=run)


def keep(stack: StackContext, service: str, point: str) -> None:
    """List a copy that an update leaves: `restore --undo` brings it back."""
    if point.startswith(SET):
        return
    entry = RestorePoint(
        restore=point,
        services=(service,),
        volumes=tuple(_sources(_policy(stack, service))),
        moved=datetime.now(UTC).isoformat(timespec="seconds"),
        counts={},
        cause="update",
    )
    restore_points.add(stack, entry)


def drop(stack: StackContext, service: str, point: str) -> None:
    """Remove a copy that nobody needs, whole or not."""
    if point.startswith(SET):
        return
    for source in _sources(_policy(stack, service)):
        if data_mounts.exists(stack, source):
            with _at(stack, point, source) as talk:
                talk.ask("discard", restore=point)


def version(stack: StackContext, service: str, image: str) -> str:
    """Return a store's version in an image, as its product's command prints it."""
    policy = policies_of(stack).get(service)
    if policy is None or not policy.version:
        return ""
    return store_commands.version_in(stack.engine, policy, image)


def _policy(stack: StackContext, service: str) -> Policy:
    known = policies_of(stack)
    if service not in known:
        raise DataError(
            f"{service} declares no data any more", hint="docs/backup.md has the labels"
        )
    return known[service]


def _sources(policy: Policy) -> Sequence[str]:
    return [mount.source for mount in policy.mounts]


def _require_rest(stack: StackContext, source: str) -> None:
    for container in service_control.users_of(stack, source):
        raise DataError(
            f"{container.name} runs and writes to {source}",
            hint=f"docker stop {container.name}, then run this again",
        )


def _at(stack: StackContext, run: str, source: str) -> AbstractContextManager[Helper]:
    work = HelperJob(run=run, label=source, volume=source, changes=True)
    return helper.helper(stack, work)
