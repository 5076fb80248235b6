"""What a backup and a restore check before they stop anything."""

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from compose_ops.backup import helper, service_control, store_commands
from compose_ops.backup.helper import HelperJob
from compose_ops.backup.policy import LEVELS, Policy
from compose_ops.backup.quiesce import StoreBackup
from compose_ops.backup.restore_targets import RestoreTarget
from compose_ops.docker.api import PROJECT_LABEL, Volume
from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_size

MARGIN = 1.2
BLOCK = 4096
_PASSWORD = re.compile(r"(?i)((?:pass|secret|cred|token|key)\w*=)[^,]*")


def items(
    stack: StackContext, chosen: Sequence[Policy], wanted: str
) -> list[StoreBackup]:
    """Return the stores with the consistency that each is to be taken with."""
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
    found = stack.refresh()
    return [
        StoreBackup(
            policy=policy,
            level=wanted or policy.levels[0],
            forced=bool(wanted),
            containers=tuple(c for c in found if c.service == policy.service),
        )
        for policy in chosen
    ]


def volumes(stack: StackContext, chosen: Sequence[Policy]) -> dict[str, Volume]:
    """
    Return the volumes by their keys in the model.

    Raises DataError for one that is not there, is another project's, or is in use by a
    container that is none of its service.
    """
    found = {}
    for policy in chosen:
        for key in policy.volumes:
            found[key] = project_volume(stack, key)
            check_users(stack, policy, found[key].name)
    return found


def project_volume(stack: StackContext, key: str) -> Volume:
    """Return a volume that is there and the project's; DataError for any other."""
    name = stack.model.volume_name(key)
    volume = stack.engine.volume(name)
    if volume is None:
        raise DataError(
            f"there is no volume {name}",
            hint="invoke up makes the stack's volumes; docker volume ls lists all",
        )
    owner = volume.labels.get(PROJECT_LABEL, "")
    if owner != stack.project:
        raise DataError(
            f"the volume {name} is not the project's: "
            + (f"it is {owner}'s" if owner else "Compose did not make it"),
            hint=f"docker volume inspect {name}",
        )
    return volume


def check_users(stack: StackContext, policy: Policy, name: str) -> None:
    """Raise DataError when a container of another service writes to the volume."""
    for container in service_control.users_of(stack, name):
        its = (container.project, container.service) == (stack.project, policy.service)
        if not its:
            raise DataError(
                f"the container {container.name} uses the volume {name}, too",
                hint=f"stop it first: docker stop {container.name}",
            )


def check_holds_data(name: str, *, empty: bool) -> None:
    if empty:
        raise DataError(
            f"the volume {name} is empty: there is nothing to back up",
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
        volume = stack.engine.volume(part.volume)
        if volume is None:
            continue
        if volume.labels.get(PROJECT_LABEL) != stack.project:
            raise DataError(
                f"the volume {part.volume} is not the project's",
                hint=f"docker volume inspect {part.volume}",
            )
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
            f"the volume {part.volume} has {readable_size(free)} free, the data needs "
            f"{readable_size(needed)} beside what is there",
            hint="make room on the engine's disk",
        )
