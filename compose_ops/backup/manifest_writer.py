"""Write down what was taken: the manifest of a new set."""

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from compose_ops.backup import store_commands
from compose_ops.backup.destination import NewSet
from compose_ops.backup.manifest import LONGEST, Manifest, Store
from compose_ops.backup.store_backup import StoreBackup
from compose_ops.backup.volume_backup import VolumeBackup
from compose_ops.runtime.context import StackContext


def manifest(
    stack: StackContext,
    found: Sequence[VolumeBackup],
    new: NewSet,
    *,
    run: str,
    coherent: bool,
    undeclared: Sequence[str] = (),
    downtime: float | None = None,
) -> Manifest:
    """Return the manifest of what was copied and read back."""
    items = {copying.item.policy.service: copying.item for copying in found}
    return Manifest(
        id=run,
        project=stack.project,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        coherent=coherent,
        compression=new.compression,
        encrypted=new.encrypted,
        engine=stack.info.version,
        tool=_tool(),
        undeclared=tuple(text[:LONGEST] for text in undeclared),
        downtime=downtime,
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
        archives=tuple(copying.archive() for copying in found),
        product=item.policy.product[:LONGEST],
        recipe=item.policy.recipe[:LONGEST],
        downtime=item.downtime,
    )


def _tool() -> str:
    try:
        return f"compose-ops {version('compose-ops')}"
    except PackageNotFoundError:
        return "compose-ops"
