"""The folders that a restore replaces, and what each is replaced by."""

from collections.abc import Sequence
from dataclasses import dataclass

from compose_ops.backup.manifest import Archive, Manifest, Store
from compose_ops.backup.policy import Policy, policies_of
from compose_ops.errors import DataError
from compose_ops.runtime.context import StackContext


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """One folder whose data is to be replaced: a volume, or a path of the host."""

    policy: Policy
    store: Store
    archive: Archive
    volume: str


def parts_of(manifest: Manifest, policy: Policy) -> list[RestoreTarget]:
    """Return what a set holds of a service; DataError when it does not fit."""
    store = manifest.store(policy.service)
    if store is None:
        raise DataError(
            f"{manifest.id} does not hold {policy.service}",
            hint="invoke backups shows what each set holds",
        )
    archives = {archive.key: archive for archive in store.archives}
    if set(archives) != set(policy.volumes):
        raise DataError(
            f"{manifest.id} holds other volumes of {policy.service} than the compose "
            "files name",
            hint=f"they name: {', '.join(policy.volumes)}",
        )
    return [
        RestoreTarget(policy, store, archives[mount.key], mount.source)
        for mount in policy.mounts
    ]


def earlier_parts(
    stack: StackContext,
    services: Sequence[str],
    volumes: Sequence[str],
    counts: dict[str, int],
) -> list[RestoreTarget]:
    """Return what brings back the data that an earlier restore moved aside."""
    known = policies_of(stack)
    return [
        RestoreTarget(
            policy=known[service],
            store=_as_store(service, counts),
            archive=_nothing(mount.key),
            volume=mount.source,
        )
        for service in services
        if service in known
        for mount in known[service].mounts
        if mount.source in volumes
    ]


def _as_store(service: str, counts: dict[str, int]) -> Store:
    count = (counts[service],) if service in counts else ()
    return Store(service, "stop", "", "", "", None, count, grows=True, archives=())


def _nothing(key: str) -> Archive:
    return Archive(key, "", "", {}, {}, "", 0, "", 0, 0, "")
