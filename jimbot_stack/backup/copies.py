"""One volume's way into a set: a helper container, an archive, a list of files."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jimbot_stack.backup import helper, preconditions
from jimbot_stack.backup.files import Files
from jimbot_stack.backup.helper import Helper, Work
from jimbot_stack.backup.manifest import Archive
from jimbot_stack.backup.progress import meter
from jimbot_stack.backup.quiet import CHANGES, Item
from jimbot_stack.console import say
from jimbot_stack.engine import Volume
from jimbot_stack.stack import Stack
from jimbot_stack.units import readable_size

UNBOUNDED = 1 << 62


@dataclass(frozen=True, slots=True)
class Shape:
    """Where and how archives are written; with *keys* they are encrypted."""

    partial: Path
    compression: str
    keys: tuple[Any, ...]


@dataclass(slots=True)
class Copying:
    """One volume on its way; `result` is what reading it back found."""

    item: Item
    key: str
    volume: Volume
    helper: Helper
    files: Files
    occupied: int
    result: dict[str, Any] = field(default_factory=dict)


def opened(
    stack: Stack,
    helpers: ExitStack,
    item: Item,
    *,
    volume: Volume,
    key: str,
    shape: Shape,
) -> Copying:
    """Start the volume's helper and see what it holds; DataError when nothing."""
    files = Files(shape.partial, key, shape.compression, shape.keys)
    files.make()
    work = Work(
        volume=volume.name,
        run=shape.partial.name.removeprefix(".partial-"),
        label=item.policy.service,
        archive=files.archive_end,
        listing=files.listing_end,
        fills=True,
    )
    talk = helpers.enter_context(helper.helper(stack, work))
    found = talk.ask("measure")
    preconditions.check_holds_data(volume.name, empty=found["empty"])
    return Copying(item, key, volume, talk, files, found["bytes"])


def copy(copying: Copying) -> None:
    """Write the archive; DataError when it cannot be, or the volume cannot be read."""
    policy, level = copying.item.policy, copying.item.level
    say(f"copying {copying.volume.name} ({readable_size(copying.occupied)}, {level})")
    native = level == "native"
    with copying.files.being_written(), meter(copying.key, copying.occupied) as report:
        copying.helper.ask(
            "copy",
            report,
            compression=copying.files.compression,
            exclude=policy.exclude if native else (),
            order=policy.order if native else (),
            changes=CHANGES[level],
        )


@contextmanager
def being_checked(copying: Copying) -> Iterator[None]:
    """Let the helper read the archive back; `finish_check` waits for it."""
    with copying.files.being_read():
        copying.helper.begin(
            "check",
            compression=copying.files.compression,
            listing=True,
            most_files=UNBOUNDED,
            most_bytes=UNBOUNDED,
        )
        yield


def finish_check(copying: Copying) -> None:
    """Keep what reading the archive back found; DataError when it is damaged."""
    with meter(f"verifying {copying.key}", copying.occupied) as report:
        copying.result = copying.helper.finish(report)


def archive(copying: Copying) -> Archive:
    """Return what the manifest says of a volume that was copied and read back."""
    volume, found = copying.volume, copying.result
    stored, size = copying.files.stored(found["sha256"], found["size"])
    return Archive(
        key=copying.key,
        volume=volume.name,
        driver=volume.driver,
        options=preconditions.without_passwords(volume.options),
        labels=dict(volume.labels),
        sha256=stored,
        size=size,
        plain_sha256=found["sha256"],
        files=found["files"],
        bytes=found["bytes"],
        listing_sha256=found["listing"]["sha256"],
    )
