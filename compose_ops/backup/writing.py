"""One copy of the data for several destinations; one that fails spoils no other."""

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from compose_ops.backup import repository, volume_backup
from compose_ops.backup.addresses import Place
from compose_ops.backup.destination import Destination, NewSet
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.console import say
from compose_ops.docker.api import Volume
from compose_ops.errors import (
    ComposeOpsError,
    ConfigurationError,
    DataError,
    EngineUnavailable,
    Locked,
    UsageError,
)

FAULTS = (DataError, ConfigurationError, Locked)
"""What one destination may fail of; what ends the engine ends all of them."""


@dataclass(slots=True)
class Writing:
    """
    A set on its way to one destination; `fault` says why it will not be there.

    `number` is the id that the next set of the destination would have.
    """

    place: Destination
    address: Place
    number: str = ""
    new: NewSet | None = None
    copies: list[VolumeBackup] = field(default_factory=list)
    readers: ExitStack = field(default_factory=ExitStack)
    fault: ComposeOpsError | None = None

    @property
    def set(self) -> NewSet:
        if self.new is None:
            raise DataError(f"no set was begun at {self.place.name}")
        return self.new

    def open(
        self,
        helpers: ExitStack,
        items: Sequence[StoreBackup],
        volumes: Mapping[str, Volume | None],
    ) -> None:
        """Begin the set: start a helper for each folder, which measures it."""
        self.set.make()
        self.copies = [
            self.set.opened(helpers, item, mount=mount, volume=volumes[mount.key])
            for item in items
            for mount in item.policy.mounts
        ]

    def measure(self) -> None:
        """Wait for the helpers; DataError where the set may not fit."""
        for copying in self.copies:
            volume_backup.measured(copying)
        self.set.check_space(self.copies)

    def copy(self) -> None:
        for copying in self.copies:
            volume_backup.copy(copying)

    def begin_rereading(self, readers: ExitStack) -> None:
        """Begin to read the copies back; *readers* ends what nobody finishes."""
        with ExitStack() as opened:
            for copying in self.copies:
                opened.enter_context(copying.being_reread())
            self.readers = readers.enter_context(opened.pop_all())

    def finish_rereading(self) -> None:
        with self.readers:
            for copying in self.copies:
                copying.finish_rereading()


class NotEverywhere(DataError):  # noqa: N818 - names an outcome
    """
    A set that is at some destinations and not at others.

    `manifest` is the set's, `holders` the names of the destinations that have it.
    """

    def __init__(
        self, manifest: Manifest, holders: Sequence[str], failed: Sequence[Writing]
    ) -> None:
        names = ", ".join(one.place.name for one in failed)
        faults = [one.fault for one in failed if one.fault]
        super().__init__(
            f"the set {manifest.id} is in {', '.join(holders)}, but not in {names}: "
            f"{faults[0].message}",
            hint=faults[0].hint,
            detail="\n".join(fault.message for fault in faults[1:]),
        )
        self.manifest = manifest
        self.holders = tuple(holders)


def whole(writings: Sequence[Writing]) -> list[Writing]:
    """Return those that have not failed."""
    return [one for one in writings if one.fault is None]


def each(writings: Sequence[Writing], act: Callable[[Writing], object]) -> None:
    """Do something for each that has not failed; raise the fault when none is left."""
    for one in whole(writings):
        try:
            act(one)
        except EngineUnavailable:
            raise
        except FAULTS as fault:
            one.fault = fault
        except OSError as refused:
            one.fault = _refusal(one, refused)
        if one.fault and len(writings) > 1:
            say(f"{one.place.name} fails: {one.fault.message}")
    if not whole(writings):
        raise writings[0].fault or DataError("there is no destination")


def _refusal(one: Writing, refused: OSError) -> DataError:
    """Return the fault of a destination whose disk or files refuse something."""
    kind = errno.errorcode.get(refused.errno or 0, type(refused).__name__)
    about = refused.filename or one.place.name
    return DataError(
        f"{about}: {refused.strerror or refused} ({kind})",
        hint="is there room, and is it writable? --dest DIR names another destination",
    )


def next_run(writings: Sequence[Writing]) -> str:
    """Return the id of the set: its number is new at every destination."""
    return max((one.number for one in whole(writings)), key=repository.number_of)


def stop_what_is_ordered(
    items: Sequence[StoreBackup], destinations: Sequence[Destination]
) -> None:
    """
    Let stores be stopped that cannot be copied to the destinations while they run.

    restic reads in an order of its own, and nothing may be read after a session; nor
    can a session be held for two copies. UsageError where that was ruled out.
    """
    unordered = [place.name for place in destinations if not place.keeps_order]
    for item in items:
        policy = item.policy
        several = len(destinations) > 1 and policy.session
        kept = unordered and (policy.session or policy.order)
        if item.level != "native" or not (several or kept):
            continue
        if item.forced or "stop" not in policy.levels:
            raise UsageError(
                f"{policy.service} cannot be copied to {destinations[0].name} while it "
                "runs: restic keeps no order of files",
                hint="--consistency stop stops it for the copy; a single folder takes "
                "it as it runs",
            )
        say(f"{policy.service} is stopped for the copy: restic keeps no order of files")
        item.level = "stop"
