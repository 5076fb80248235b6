"""What tests of backups do with the engine in memory."""

from pathlib import Path
from typing import Any

from backup_world import COUNT, World

from compose_ops.backup import create, restore
from compose_ops.composition import OPERATIONS
from compose_ops.project.modes import Mode
from compose_ops.runtime.context import StackContext


def store(*volumes: str, **labels: str) -> dict[str, Any]:
    """Return a service of the model whose data lies in *volumes*."""
    said = {
        "compose-ops.data.volumes": " ".join(volumes),
        "compose-ops.backup.count": COUNT,
    }
    return {
        "image": "localhost/store:2.1",
        "labels": said | {f"compose-ops.{k}": text for k, text in labels.items()},
        "volumes": [
            {"type": "volume", "source": key, "target": f"/{key}"} for key in volumes
        ],
    }


def two_stores() -> dict[str, Any]:
    """Return a model of `memo`, `pair` with two volumes, and what reads both."""
    reader = {"image": "localhost/reader:1", "depends_on": {"memo": {}, "pair": {}}}
    return {
        "memo": store("memo_data"),
        "pair": store("left_data", "right_data"),
        "reader": reader,
    }


def opened(root: Path, world: World, *, dry: bool = False) -> StackContext:
    """Return the stack of *world*, whose state lies in *root*."""
    return StackContext(
        collaborators=OPERATIONS,
        root=root,
        project="trial",
        mode=Mode(("offline",), substitutes=True),
        engine=world,  # type: ignore[arg-type]
        everyone=tuple(world.there),
        started_as=None,
        dry=dry,
    )


def back_up(stack: StackContext, *services: str, **wanted: Any) -> str:
    """Take a set of *services*, of all where none is named; return its id."""
    request = create.BackupRequest(
        services=services,
        everything=not services,
        dest=stack.root / "backups",
        **wanted,
    )
    made = create.take(stack, request)
    assert made is not None
    return made.id


def bring_back(stack: StackContext, *services: str, **wanted: Any) -> str:
    """Restore *services*, all where none is named, from the newest set."""
    wish = restore.RestoreRequest(
        services=services,
        everything=not services,
        dest=stack.root / "backups",
        yes=True,
        **wanted,
    )
    made = restore.restore(stack, wish)
    assert made is not None
    return made.id


def interrupt() -> None:
    """Do what Ctrl-C does, in `World.when`."""
    raise KeyboardInterrupt
