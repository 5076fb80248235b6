"""Stores whose data another version made than the one that is about to start on it."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from pathlib import Path

from compose_ops.backup import destinations, repository, store_commands
from compose_ops.backup.data_mounts import exists
from compose_ops.backup.manifest import Store
from compose_ops.backup.policy import Policy, policies_of
from compose_ops.docker.api import Container
from compose_ops.errors import ComposeOpsError
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_duration


@dataclass(frozen=True, slots=True)
class VersionJump:
    """
    A store's data is of version `kept`, and `wanted` would start on it.

    `backup` is when the newest verified set of the store in a folder was taken, None
    for none; `elsewhere` says that there may be newer ones in repositories.
    """

    service: str
    kept: str
    wanted: str
    backup: datetime | None = None
    elsewhere: bool = False

    @property
    def is_back(self) -> bool:
        """Whether an older version would start: most stores cannot read the data."""
        return _numbers(self.wanted) < _numbers(self.kept)[: len(_numbers(self.wanted))]

    def __str__(self) -> str:
        return (
            f"{self.service}: its data is of version {self.kept}, {self.wanted} is to "
            f"start on it; {self._backup}"
        )

    @property
    def _backup(self) -> str:
        if self.backup is None:
            not_asked = "its backups in repositories are not known here"
            return not_asked if self.elsewhere else "no verified backup"
        age = readable_duration((datetime.now(UTC) - self.backup).total_seconds())
        where = " in a folder" if self.elsewhere else ""
        return f"its last verified backup{where} is {age} old"


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
        kept, wanted = _versions(stack, policy, there, name)
        if not kept or not wanted or not _differs(kept, wanted):
            continue
        _, taken = _newest(stack, policy)
        yield VersionJump(
            policy.service, kept, wanted, taken, elsewhere=_has_repositories(stack)
        )


def _versions(
    stack: StackContext, policy: Policy, there: list[Container], image: str
) -> tuple[str, str]:
    """
    Return the version that the data is of, and the one that is to run; "" for unknown.

    The store's command tells both, else the tags do: an image may not be pulled yet.
    """
    kept, of = _kept(stack, policy, there)
    wanted = _wanted(stack, policy, image) if kept else ""
    if policy.version and not wanted:
        return store_commands.tagged(of), store_commands.tagged(image)
    return kept, wanted


def _kept(
    stack: StackContext, policy: Policy, there: list[Container]
) -> tuple[str, str]:
    """Return the version that the data is of, "" for unknown, and its image's name."""
    if there:
        old = there[0]
        with suppress(ComposeOpsError):
            version = store_commands.version_of(
                stack.engine, policy, old.image_id, name=old.image
            )
            return version, old.image
        return "", old.image
    if not all(exists(stack, mount.source) for mount in policy.mounts):
        return "", ""
    store, _ = _newest(stack, policy)
    return (store.version, store.image) if store else ("", "")


def _wanted(stack: StackContext, policy: Policy, image: str) -> str:
    """Return the version that is to run, "" for unknown: an image that is not here."""
    if policy.version and stack.engine.image(image) is None:
        return ""
    with suppress(ComposeOpsError):
        return store_commands.version_of(stack.engine, policy, image, name=image)
    return ""


def _newest(
    stack: StackContext, policy: Policy
) -> tuple[Store | None, datetime | None]:
    """Return a store as its newest verified set in a folder has it, and its time."""
    found: list[tuple[datetime, Store]] = []
    with suppress(ComposeOpsError):
        for folder in destinations.folders(stack):
            found += islice(_verified(stack, policy, folder), 1)
    if not found:
        return None, None
    taken, store = max(found, key=itemgetter(0))
    return store, taken


def _verified(
    stack: StackContext, policy: Policy, folder: Path
) -> Iterator[tuple[datetime, Store]]:
    """Yield a store as the verified sets of a folder have it, the newest first."""
    with suppress(ComposeOpsError):
        for found in repository.listed(folder, stack.project):
            store = found.manifest and found.manifest.store(policy.service)
            if found.manifest and store and found.verified:
                yield found.manifest.created_at, store


def _has_repositories(stack: StackContext) -> bool:
    """Say whether sets may lie where nobody looked, also where that is not known."""
    with suppress(ComposeOpsError):
        return destinations.has_repositories(stack)
    return True


def _differs(kept: str, wanted: str) -> bool:
    old, new = _numbers(kept), _numbers(wanted)
    return old[0] != new[0] or new < old[: len(new)]


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
