"""Stores whose data another version made than the one that is about to start on it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from compose_ops.backup import repository, store_commands
from compose_ops.backup.data_mounts import exists
from compose_ops.backup.policy import Policy, policies_of
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_duration


@dataclass(frozen=True, slots=True)
class VersionJump:
    """
    A store's data is of version `kept`, and `wanted` would start on it.

    `backup` is when the newest verified set of the store was taken, None for none.
    """

    service: str
    kept: str
    wanted: str
    backup: datetime | None = None

    @property
    def is_back(self) -> bool:
        """Whether an older version would start: most stores cannot read the data."""
        return _numbers(self.wanted) < _numbers(self.kept)[: len(_numbers(self.wanted))]

    def __str__(self) -> str:
        age = "no verified backup"
        if self.backup is not None:
            seconds = (datetime.now(UTC) - self.backup).total_seconds()
            age = f"its last verified backup is {readable_duration(seconds)} old"
        return (
            f"{self.service}: its data is of version {self.kept}, {self.wanted} is to "
            f"start on it; {age}"
        )


def find(stack: StackContext, services: Iterable[str]) -> tuple[VersionJump, ...]:
    """
    Return the stores among *services* that change their major version, or go back.

    What made the data is what its container runs on or, where there is none, the
    newest verified set. A version that nobody can tell is no jump. It asks little
    where no image changes.
    """
    try:
        known = policies_of(stack)
    except ComposeOpsError:
        return ()
    chosen = [known[name] for name in services if name in known]
    return tuple(_found(stack, chosen))


def _found(stack: StackContext, chosen: list[Policy]) -> Iterator[VersionJump]:
    images = stack.engine.images({stack.model.image_name(p.service) for p in chosen})
    for policy in chosen:
        name = stack.model.image_name(policy.service)
        there = [c for c in stack.containers if c.service == policy.service]
        image = images.get(name)
        is_same = image.id == there[0].image_id if image and there else False
        if is_same or (image is None and there and there[0].image == name):
            continue
        kept = _kept(stack, policy, there)
        wanted = _wanted(stack, policy, name) if kept else ""
        if not kept or not wanted or not _differs(kept, wanted):
            continue
        yield VersionJump(policy.service, kept, wanted, _newest(stack, policy)[1])


def _kept(stack: StackContext, policy: Policy, there: list[Container]) -> str:
    """Return the version that the data is of, "" for unknown."""
    if there:
        with suppress(ComposeOpsError):
            old = there[0]
            return store_commands.version_of(
                stack.engine, policy, old.image_id, name=old.image
            )
        return ""
    if not all(exists(stack, mount.source) for mount in policy.mounts):
        return ""
    return _newest(stack, policy)[0]


def _wanted(stack: StackContext, policy: Policy, image: str) -> str:
    """Return the version that is to run, "" for unknown: an image to be built yet."""
    if policy.version and stack.engine.image(image) is None:
        return ""
    with suppress(ComposeOpsError):
        return store_commands.version_of(stack.engine, policy, image, name=image)
    return ""


def _newest(stack: StackContext, policy: Policy) -> tuple[str, datetime | None]:
    """Return the version and the time of the newest verified set of a store."""
    with suppress(ComposeOpsError):
        for found in repository.listed(stack.backups, stack.project):
            store = found.manifest and found.manifest.store(policy.service)
            if found.manifest and store and found.verified:
                return store.version, found.manifest.created_at
    return "", None


def _differs(kept: str, wanted: str) -> bool:
    old, new = _numbers(kept), _numbers(wanted)
    return old[0] != new[0] or new < old[: len(new)]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
