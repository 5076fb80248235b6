"""What the backup tasks print."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compose_ops.backup.manifest import Manifest
from compose_ops.backup.repository import BackupSet
from compose_ops.cli.task import emit
from compose_ops.console import say, show, table
from compose_ops.errors import DataError, UsageError
from compose_ops.library.backups import PruneResult, Verification
from compose_ops.units import readable_size

if TYPE_CHECKING:
    from compose_ops.backup.addresses import Place
    from compose_ops.backup.drill import DrilledStore, DrillResult
    from compose_ops.backup.fill import Copied
    from compose_ops.library.stack import Stack


def set_as_json(found: Manifest, dest: "Place") -> dict[str, Any]:
    """Return what --json says of a set; its path is null in a repository."""
    folder = dest if isinstance(dest, Path) else None
    return {
        "id": found.id,
        "project": found.project,
        "dest": str(dest),
        "path": str(folder / found.project / found.id) if folder else None,
        "created": found.created,
        "coherent": found.coherent,
        "undeclared": list(found.undeclared),
        "downtime": found.downtime,
        "encrypted": found.encrypted or found.in_repository,
        "size": found.size,
        "stores": [
            {
                "service": store.service,
                "product": store.product,
                "recipe": store.recipe,
                "consistency": store.consistency,
                "version": store.version,
                "count": list(store.count),
                "exit_code": store.exit_code,
                "archives": [
                    {
                        "kind": archive.kind,
                        "volume": archive.volume,
                        "files": archive.files,
                        "bytes": archive.bytes,
                        "size": archive.size,
                        "sha256": archive.sha256,
                    }
                    for archive in store.archives
                ],
            }
            for store in found.stores
        ],
    }


def print_backup(made: Manifest | None) -> None:
    for store in made.stores if made else ():
        size = readable_size(sum(archive.size for archive in store.archives))
        state = "written" if made and made.in_repository else "verified"
        say(f"{store.service}: {size}, {store.consistency}, {state}")
    if made:
        say(f"{made.id} holds {_time_of(coherent=made.coherent)}")
        show(made.id)


def print_copied(found: "Copied", *, json: bool) -> None:
    if json:
        emit(
            {
                "source": found.source,
                "dest": found.target,
                "copied": list(found.copied),
                "present": list(found.present),
            }
        )
        return
    for set_id in found.copied:
        show(f"{set_id} is in {found.target}")
    if not found.copied:
        say(f"{found.target} has every set of {found.source}")


def verified_as_json(found: Sequence[Verification]) -> dict[str, Any]:
    """Return {"sets": [{"id", "fault", "opened"}]}."""
    return {
        "sets": [
            {"id": one.id, "fault": one.fault, "opened": one.opened} for one in found
        ]
    }


def print_verified(found: Sequence[Verification]) -> None:
    for result in found:
        if result.fault:
            continue
        how = "" if result.opened else " (sealed: only its hash was compared)"
        show(f"{result.id} is whole{how}")


def refuse_damaged(found: Sequence[Verification]) -> None:
    """Raise DataError when a set that was verified is not whole."""
    bad = [result.fault for result in found if result.fault]
    if bad:
        raise DataError(
            bad[0],
            hint="take another set; invoke backup makes a new one",
            detail="\n".join(bad[1:]),
        )


def sets_as_json(dest: "Place", found: Sequence[BackupSet]) -> dict[str, Any]:
    """Return {"dest", "sets": [...]}, the newest first."""
    return {"dest": str(dest), "sets": [_listed(one) for one in found]}


def _listed(kept: BackupSet) -> dict[str, Any]:
    manifest = kept.manifest
    return {
        "id": kept.id,
        "created": manifest.created if manifest else None,
        "size": manifest.size if manifest else None,
        "stores": {s.service: s.consistency for s in manifest.stores}
        if manifest
        else {},
        "coherent": manifest.coherent if manifest else None,
        "encrypted": manifest.encrypted or manifest.in_repository if manifest else None,
        "written": bool(manifest) and not kept.fault,
        "verified": kept.verified.isoformat() if kept.verified else None,
        "drilled": kept.drilled.isoformat() if kept.drilled else None,
        "drill": kept.drill,
        "fault": kept.fault,
    }


def print_sets(dest: "Place", found: Sequence[BackupSet]) -> None:
    rows = [
        [
            entry["id"],
            _when(entry["created"]),
            entry["fault"]
            or ", ".join(f"{name} ({how})" for name, how in entry["stores"].items())
            + f"; {_time_of(coherent=bool(entry['coherent']))}",
            readable_size(entry["size"] or 0),
            _when(entry["verified"]) or ("written" if kept.written else "no"),
            _drilled(entry),
        ]
        for kept in found
        for entry in [_listed(kept)]
    ]
    columns = ["set", "taken", "holds", "size", "verified", "drilled"]
    table(str(dest), columns, rows)


def write_report(stack: "Stack", *, dest: str, project: str, file: str) -> None:
    """Write the page of the sets, and say where it is."""
    from compose_ops.report.file import check_path, write
    from compose_ops.report.sets_page import sets_page

    if (path := check_path(file)) is None:
        raise UsageError("no page was named", hint="--output report.html")
    found = stack.backups(dest=dest, project=project)
    name = project or stack.context(read_only=True).project
    page = sets_page(name, stack.destination(dest), found, now=datetime.now(UTC))
    write(path, page)
    show(str(path))


def _drilled(entry: dict[str, Any]) -> str:
    """Say when a set was last restored in a drill, or why the last drill failed."""
    last = entry["drill"]
    if last and last["at"] != entry["drilled"]:
        return f"failed {_when(last['at'])}: {last['result']}"
    return _when(entry["drilled"]) or "never"


def _when(text: str | None) -> str:
    """Return a time in the local zone, to the minute; nothing for none."""
    time = datetime.fromisoformat(text) if text else None
    return f"{time.astimezone():%Y-%m-%d %H:%M}" if time else ""


def point_in_time(text: str) -> datetime | None:
    """Read a time such as 2026-11-23 15:00; local where it names no zone."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UsageError(
            f"--at {text!r:.40} is no time", hint='such as "2026-11-23 15:00"'
        ) from None


def print_restored(found: Manifest | None, dest: "Place", *, json: bool) -> None:
    if json:
        emit({"restored": set_as_json(found, dest) if found else None})
    elif found:
        show(f"{found.id} is restored; --undo brings back what was before")


def one_way_back(*, undo: bool, discard: bool) -> bool:
    """Tell whether it is about the data from before a restore; not both ways."""
    if undo and discard:
        raise UsageError("--undo and --discard exclude each other", hint="give one")
    return undo or discard


def print_way_back(
    stack: "Stack", services: Sequence[str], *, undo: bool, yes: bool, json: bool
) -> None:
    """Bring back what was before a restore, or discard it."""
    if undo:
        done = stack.undo_restore(services, yes=yes)
        if json:
            emit({"undone": done})
        elif done:
            show(f"undone: {done}")
        return
    gone = stack.discard_restore(services, yes=yes)
    if json:
        emit({"discarded": list(gone)})
    else:
        show("discarded: " + (", ".join(gone) or "nothing was kept"))


def print_pruned(found: PruneResult) -> None:
    for set_id in found.removed:
        show(f"removed {set_id}")


def drill_as_json(found: "DrillResult") -> dict[str, Any]:
    """Return what --json says of a drill."""
    return {
        "set": found.set_id,
        "proven": found.proven,
        "counts": {store.service: store.count for store in found.stores},
        "checked": {store.service: store.checked for store in found.stores},
    }


def print_drill(found: "DrillResult") -> None:
    words = "proven" if found.proven else "restores and boots"
    show(f"{found.set_id} {words}: {', '.join(map(_drilled_store, found.stores))}")


def _drilled_store(store: "DrilledStore") -> str:
    said = [] if store.count is None else [f"counts {store.count}"]
    said += ["check passed"] if store.checked else []
    return f"{store.service} ({', '.join(said) or 'nothing was checked'})"


def _time_of(*, coherent: bool) -> str:
    """Say of which time a set is."""
    return "one moment" if coherent else "each store by itself"
