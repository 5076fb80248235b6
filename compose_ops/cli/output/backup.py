"""What the backup tasks print."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from compose_ops.backup import (
    create,
    destinations,
    doubt,
    helper,
    repository,
    restore_undo,
)
from compose_ops.backup import drill as drilling
from compose_ops.backup import prune as pruning
from compose_ops.backup import restore as operation
from compose_ops.backup import verify as proof
from compose_ops.backup.drill import DrillRequest
from compose_ops.backup.manifest import Manifest
from compose_ops.backup.repository import BackupSet
from compose_ops.backup.retention import Rules
from compose_ops.console import say, show, table
from compose_ops.errors import DataError, UsageError
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_size


def backup(
    stack: StackContext,
    dest: str,
    *,
    services: Sequence[str] = (),
    everything: bool = False,
    consistency: str = "",
    gzip: bool = False,
    encrypt: Sequence[str] = (),
    allow_undeclared: bool = False,
) -> dict[str, Any] | None:
    """Take a set; return what --json says of it, None with --dry."""
    request = create.BackupRequest(
        services=services,
        everything=everything,
        dest=destination(stack, dest),
        consistency=consistency,
        gzip=gzip,
        encrypt=encrypt,
        allow_undeclared=allow_undeclared,
    )
    made = create.take(stack, request)
    if made:
        destinations.remember(stack.root, stack.state, request.dest, made.id)
    return summary(made, request.dest) if made else None


def print_backup(made: dict[str, Any] | None) -> None:
    for store in made["stores"] if made else ():
        size = readable_size(sum(archive["size"] for archive in store["archives"]))
        say(f"{store['service']}: {size}, {store['consistency']}, verified")
    if made:
        say(f"{made['id']} holds {when(made)}")
        show(made["id"])


def when(made: dict[str, Any]) -> str:
    """Say of which time a set is."""
    return "one moment" if made["coherent"] else "each store by itself"


def destination(stack: StackContext, dest: str) -> Path:
    """
    Return the destination as an absolute path; a relative one is the checkout's.

    Raises UsageError for a URL or what else names no folder.
    """
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", dest):
        raise UsageError(
            f"--dest takes a folder, not {scheme[1]}://",
            hint="mount it, and name the folder; one with :// in its name: ./NAME",
        )
    if not dest:
        raise UsageError("--dest names no folder", hint="--dest backups")
    return (stack.root / Path(dest).expanduser()).resolve()


def summary(found: Manifest, dest: Path) -> dict[str, Any]:
    """Return what --json says of a set."""
    return {
        "id": found.id,
        "project": found.project,
        "path": str(dest / found.project / found.id),
        "created": found.created,
        "coherent": found.coherent,
        "undeclared": list(found.undeclared),
        "encrypted": found.encrypted,
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


def verify(
    stack: StackContext, dest: str, *, set_id: str, project: str, identity: str
) -> dict[str, Any]:
    """
    Prove one set, or every set of the project.

    Returns {"sets": [{"id", "fault", "opened"}]}; `refuse_damaged` raises for the bad.
    """
    place, owner = destination(stack, dest), project or stack.project
    helper.require(stack)
    chosen = (
        [repository.choose(place, owner, set_id=set_id)]
        if set_id
        else repository.listed(place, owner)
    )
    return {"sets": [_verified(stack, kept, identity) for kept in chosen]}


def refuse_damaged(found: dict[str, Any]) -> None:
    """Raise DataError when a set that was verified is not whole."""
    bad = [result for result in found["sets"] if result["fault"]]
    if bad:
        raise DataError(
            bad[0]["fault"],
            hint="take another set; invoke backup makes a new one",
            detail="\n".join(result["fault"] for result in bad[1:]),
        )


def _verified(stack: StackContext, kept: BackupSet, identity: str) -> dict[str, Any]:
    try:
        manifest = repository.believed(kept)
        keys = proof.identities(manifest, identity, needed=False)
        with doubt.doubted(kept):
            proof.check(stack, kept, keys)
    except DataError as damaged:
        return {"id": kept.id, "fault": damaged.message, "opened": False}
    return {"id": kept.id, "fault": "", "opened": bool(keys) or not manifest.encrypted}


def print_verified(found: dict[str, Any]) -> None:
    for result in found["sets"]:
        if result["fault"]:
            continue
        how = "" if result["opened"] else " (sealed: only its hash was compared)"
        show(f"{result['id']} is whole{how}")


def backups(stack: StackContext, dest: str, *, project: str) -> dict[str, Any]:
    """Return {"sets": [...]}, newest first; also invalid ones."""
    place = destination(stack, dest)
    found = repository.listed(place, project or stack.project)
    return {"dest": str(place), "sets": [_listed(kept) for kept in found]}


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
        "encrypted": manifest.encrypted if manifest else None,
        "verified": kept.verified.isoformat() if kept.verified else None,
        "drilled": kept.drilled.isoformat() if kept.drilled else None,
        "drill": kept.drill,
        "fault": kept.fault,
    }


def print_backups(found: dict[str, Any]) -> None:
    rows = [
        [
            entry["id"],
            _when(entry["created"]),
            entry["fault"]
            or ", ".join(f"{name} ({how})" for name, how in entry["stores"].items()),
            readable_size(entry["size"] or 0),
            _when(entry["verified"]) or "no",
            _drilled(entry),
        ]
        for entry in found["sets"]
    ]
    columns = ["set", "taken", "holds", "size", "verified", "drilled"]
    table(found["dest"], columns, rows)


def _drilled(entry: dict[str, Any]) -> str:
    """Say when a set was last restored in a drill, or why the last drill failed."""
    last = entry["drill"]
    if last and last["at"] != entry["drilled"]:
        return f"failed {_when(last['at'])}: {last['result']}"
    return _when(entry["drilled"]) or "never"


def _when(text: str | None) -> str:
    """Return a moment in the local time, to the minute; nothing for none."""
    moment = datetime.fromisoformat(text) if text else None
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else ""


def restore(
    stack: StackContext, dest: str, *, at: str, undo: bool, discard: bool, **wanted: Any
) -> dict[str, Any]:
    """Restore, undo a restore, or discard what one moved aside."""
    if undo and discard:
        raise UsageError("--undo and --discard exclude each other", hint="give one")
    if undo:
        done = restore_undo.undo(stack, wanted["services"], yes=wanted["yes"])
        return {"undone": done}
    if discard:
        gone = restore_undo.discard(stack, wanted["services"], yes=wanted["yes"])
        return {"discarded": gone}
    wish = operation.RestoreRequest(
        dest=destination(stack, dest), at=moment(at), **wanted
    )
    found = operation.restore(stack, wish)
    return {"restored": summary(found, wish.dest) if found else None}


def moment(text: str) -> datetime | None:
    """Read a time such as 2026-11-23 15:00; local where it names no zone."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError:
        raise UsageError(
            f"--at {text!r:.40} is no time", hint='such as "2026-11-23 15:00"'
        ) from None


def print_restored(found: dict[str, Any]) -> None:
    if found.get("restored"):
        show(
            f"{found['restored']['id']} is restored; --undo brings back what was before"
        )
    elif found.get("undone"):
        show(f"undone: {found['undone']}")
    elif "discarded" in found:
        show("discarded: " + (", ".join(found["discarded"]) or "nothing was kept"))


def prune(stack: StackContext, dest: str, *, rules: Rules, yes: bool) -> dict[str, Any]:
    """Remove the sets that no rule keeps, once that was confirmed."""
    return pruning.prune(stack, destination(stack, dest), rules, yes=yes)


def print_pruned(found: dict[str, Any]) -> None:
    for gone in found["removed"]:
        show(f"removed {gone}")


def drill(
    stack: StackContext, dest: str, *, set_id: str, identity: str
) -> dict[str, Any]:
    """Restore a set into scratch volumes, boot it, remove everything."""
    request = DrillRequest(destination(stack, dest), set_id, identity)
    found = drilling.drill(stack, request)
    return {
        "set": found.set_id,
        "proven": found.proven,
        "counts": {store.service: store.count for store in found.stores},
        "checked": {store.service: store.checked for store in found.stores},
    }


def print_drill(found: dict[str, Any]) -> None:
    words = "proven" if found["proven"] else "restores and boots"
    stores = (
        _drilled_store(name, count, checked=found["checked"][name])
        for name, count in found["counts"].items()
    )
    show(f"{found['set']} {words}: {', '.join(stores)}")


def _drilled_store(name: str, count: int | None, *, checked: bool) -> str:
    said = [] if count is None else [f"counts {count}"]
    said += ["check passed"] if checked else []
    return f"{name} ({', '.join(said) or 'nothing was checked'})"
