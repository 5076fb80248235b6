"""Write down what was taken: the manifest of a new set."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from compose_ops.backup import store_commands, volume_archive
from compose_ops.backup.manifest import Manifest, Store
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_archive import ArchiveFormat, VolumeBackup
from compose_ops.runtime.context import StackContext


def manifest(
    stack: StackContext,
    found: Sequence[VolumeBackup],
    shape: ArchiveFormat,
    *,
    run: str,
    coherent: bool,
    undeclared: Sequence[str] = (),
) -> Manifest:
    """Return the manifest of what was copied and read back."""
    items = {copying.item.policy.service: copying.item for copying in found}
    return Manifest(
        id=run.removeprefix(".partial-"),
        project=stack.project,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        coherent=coherent,
        compression=shape.compression,
        encrypted=bool(shape.keys),
        engine=stack.info.version,
        tool=_tool(),
        undeclared=tuple(undeclared),
        stores=tuple(
            _store(stack, item, [c for c in found if c.item is item])
            for item in items.values()
        ),
    )


def _store(
    stack: StackContext, item: StoreBackup, found: Sequence[VolumeBackup]
) -> Store:
    there = item.containers
    image = store_commands.image_of(stack, item.policy.service, there)
    known = stack.engine.image(image)
    return Store(
        service=item.policy.service,
        consistency=item.level,
        image=there[0].image if there else image,
        image_id=known.id if known else "",
        version=store_commands.version(stack, item.policy, there),
        exit_code=item.exit_code,
        count=tuple(item.count) if len(item.count) > 1 else (),
        grows=item.policy.grows,
        archives=tuple(volume_archive.archive(copying) for copying in found),
        product=item.policy.product,
        recipe=item.policy.recipe,
    )


def _tool() -> str:
    try:
        return f"compose-ops {version('compose-ops')}"
    except PackageNotFoundError:
        return "compose-ops"
