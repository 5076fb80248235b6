"""What a backup and a restore check before they stop anything."""

import re
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath

from compose_ops.backup import (
    endings,
    helper,
    service_control,
    store_commands,
)
from compose_ops.backup import manifest as manifests
from compose_ops.backup.data_mounts import exists, is_path, root_in
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.policy import LEVELS, Policy
from compose_ops.backup.restore_targets import RestoreTarget
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.console import say
from compose_ops.docker.api import PROJECT_LABEL, Container, Volume
from compose_ops.errors import DataError, UsageError
from compose_ops.project.labels import PREFIX
from compose_ops.runtime.context import StackContext
from compose_ops.state import decode
from compose_ops.units import readable_size

MARGIN = 1.2
BLOCK = 4096
_PASSWORD = re.compile(r"(?i)((?:pass|secret|cred|token|key)\w*=)[^,]*")


def items(
    stack: StackContext, chosen: Sequence[Policy], wanted: str
) -> list[StoreBackup]:
    """
    Return the stores with the consistency that each is to be taken with.

    Raises UsageError for one that a store does not support, and DataError where a
    running store keeps its data in none of its folders.
    """
    if wanted and wanted not in LEVELS:
        raise UsageError(
            f"--consistency {wanted!r} is unknown", hint=f"one of: {', '.join(LEVELS)}"
        )
    for policy in chosen:
        if wanted and wanted not in policy.levels:
            raise UsageError(
                f"{policy.service} cannot be backed up with --consistency {wanted}",
                hint=f"it supports: {', '.join(policy.levels)}",
            )
    found = [c for c in stack.refresh() if not c.is_one_off]
    made = [
        _item(stack, policy, wanted, [c for c in found if c.service == policy.service])
        for policy in chosen
    ]
    written = {name for item in made for name in item.writers}
    for item in made:
        if item.level == "native" and item.policy.service in written:
            say(f"{item.policy.service} writes to another store's data: stopping it")
            item.level = "stop"
    return made


def _item(
    stack: StackContext, policy: Policy, wanted: str, there: Sequence[Container]
) -> StoreBackup:
    level = wanted or policy.levels[0]
    writers = service_control.writers_of(stack, [policy.service])
    return StoreBackup(
        policy=policy,
        level=level,
        forced=bool(wanted),
        containers=tuple(there),
        roots=_roots(stack, policy, there),
        writers=() if level == "crash" else writers,
        ending=endings.of(stack, policy.service),
    )


def _roots(
    stack: StackContext, policy: Policy, there: Sequence[Container]
) -> dict[str, str]:
    """Return where in each folder of a store its data lies, as the server says."""
    running = [c for c in there if c.is_running]
    reported = (
        store_commands.data_folder(stack.engine, policy, running[0]) if running else ""
    )
    found = {
        mount.key: root
        for mount in policy.mounts
        for folder in ([reported] if reported else policy.paths)
        if (root := root_in(mount, folder)) is not None
    }
    inside = any(
        PurePosixPath(m.target).is_relative_to(reported) for m in policy.mounts
    )
    if reported and not found and not inside:
        raise DataError(
            f"{policy.service} reports its data in {reported}, which is none of its "
            "volumes",
            hint=f"mount a volume there, or name its volumes: {PREFIX}data.volumes",
        )
    return found


def check_recordable(
    stack: StackContext, chosen: Sequence[Policy], now: datetime
) -> None:
    """Raise DataError for a time or a name that no set can hold."""
    if not decode.FIRST_YEAR <= now.year <= decode.LAST_YEAR:
        raise DataError(
            f"the clock of this machine says {now.year}: no set can be of that year",
            hint="timedatectl shows the clock; set it right",
        )
    mounts = [mount for policy in chosen for mount in policy.mounts]
    keys = [mount.key for mount in mounts]
    volumes = [mount.source for mount in mounts if not mount.is_bind]
    services = [policy.service for policy in chosen]
    for name in (stack.project, *services, *keys, *volumes):
        if not manifests.is_name(name):
            raise DataError(
                f"{name!r:.60} is not a name that a set can hold",
                hint="it begins with a letter or a digit and has 128 characters at "
                "most; name it otherwise in the compose files",
            )
    for key in keys:
        if keys.count(key) > 1:
            raise DataError(
                f"two folders of the set would be the same archive {key}",
                hint="name the volume in the compose files otherwise",
            )


def volumes(stack: StackContext, chosen: Sequence[Policy]) -> dict[str, Volume | None]:
    """
    Return the volumes by their keys in a set; None for a folder of the host.

    Raises DataError for one that is not there, is another project's and not external,
    or is in use by a container that is none of its service.
    """
    found: dict[str, Volume | None] = {}
    for policy in chosen:
        for mount in policy.mounts:
            found[mount.key] = check_source(stack, mount.source)
            check_users(stack, policy, mount.source)
    return found


def check_source(stack: StackContext, source: str) -> Volume | None:
    """
    Return a volume of the model that is there; DataError for another project's.

    One without a project's label was made by hand. An external one may be anybody's.
    """
    if is_path(source):
        if not exists(stack, source):
            raise DataError(
                f"folder {source} not found",
                hint="invoke up creates what the compose files mount",
            )
        return None
    volume = stack.engine.volume(source)
    if volume is None:
        raise DataError(
            f"volume {source} not found",
            hint="invoke up creates the volumes; docker volume ls lists all",
        )
    owner = volume.labels.get(PROJECT_LABEL) or stack.project
    external = map(stack.model.volume_name, stack.model.external("volumes"))
    if owner != stack.project and source not in external:
        raise DataError(
            f"the volume {source} does not belong to the project: it belongs to "
            f"{owner}",
            hint="external: true in the compose files says that it is shared",
        )
    return volume


def check_links(policy: Policy, found: Sequence[str]) -> None:
    """Refuse data part of which lies elsewhere. DataError."""
    if found:
        raise DataError(
            f"data of {policy.service} lies outside of its folder: {', '.join(found)}",
            hint="move it into the folder (a tablespace: into pg_default); what a link "
            "leads to is in no set",
        )


def check_users(stack: StackContext, policy: Policy, name: str) -> None:
    """
    Raise DataError when a container writes to the volume that is not stopped for it.

    Stopped are the containers of the store and of the project's services that mount
    it, but no container of `docker compose run`: nothing could start it again.
    """
    own = {policy.service, *service_control.writers_of(stack, [policy.service])}
    for container in service_control.users_of(stack, name):
        is_stopped = container.project == stack.project and container.service in own
        if is_stopped and not container.is_one_off:
            continue
        what = "folder" if is_path(name) else "volume"
        origin = " (docker compose run)" if container.is_one_off else ""
        raise DataError(
            f"the container {container.name}{origin} writes to the {what} {name}",
            hint=f"stop it first: docker stop {container.name}",
        )


def check_holds_data(name: str, *, empty: bool) -> None:
    if empty:
        raise DataError(
            f"{name} is empty: there is nothing to back up",
            hint="was its store ever started?",
        )


def check_space(
    dest: Path, occupied: Mapping[str, int], ratios: Mapping[str, float]
) -> None:
    """Raise DataError when the archives will not fit, as far as one can tell."""
    if not fits(dest, occupied, ratios):
        raise DataError(
            f"{dest} has {readable_size(shutil.disk_usage(dest).free)} free, the set "
            f"may take {readable_size(_needed(occupied, ratios))}",
            hint="make room (invoke prune), or name another --dest",
        )


def fits(dest: Path, occupied: Mapping[str, int], ratios: Mapping[str, float]) -> bool:
    """Say whether archives of so many bytes fit, at the ratios of earlier ones."""
    return _needed(occupied, ratios) <= shutil.disk_usage(dest).free


def _needed(occupied: Mapping[str, int], ratios: Mapping[str, float]) -> float:
    return sum(
        size * min(1.0, MARGIN * ratios.get(key, 1.0)) for key, size in occupied.items()
    )


def without_passwords(options: Mapping[str, str]) -> dict[str, str]:
    """Return a volume's driver options as a set may keep them."""
    return {key: _PASSWORD.sub(r"\1[redacted]", text) for key, text in options.items()}


def check_restore(stack: StackContext, parts: Sequence[RestoreTarget]) -> None:
    """Refuse a version, a volume or a lack of space that would end badly."""
    there = stack.refresh()
    for part in parts:
        store_commands.check_version(
            part.policy.service,
            kept=part.store.version,
            present=store_commands.version(stack, part.policy, there),
        )
        if not exists(stack, part.volume):
            continue
        check_source(stack, part.volume)
        check_users(stack, part.policy, part.volume)
        check_room(stack, part)


def check_room(stack: StackContext, part: RestoreTarget) -> None:
    """Raise DataError when a volume has no room for a set's data beside its own."""
    needed = part.archive.bytes + part.archive.files * BLOCK
    work = HelperJob(run="look", label=part.volume, volume=part.volume)
    with helper.helper(stack, work) as talk:
        free = talk.ask("measure")["free"]
    if needed > free:
        raise DataError(
            f"{part.volume} has {readable_size(free)} free, the data needs "
            f"{readable_size(needed)} beside what is there",
            hint="make room on the engine's disk",
        )
