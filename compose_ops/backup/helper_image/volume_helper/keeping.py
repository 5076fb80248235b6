"""Keep a volume in a restic repository, and bring it back."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from volume_helper import removing, reserved, swapping
from volume_helper.copying import walk
from volume_helper.failure import Failed, Refused
from volume_helper.restic import PIECE, Restic
from volume_helper.screen import printable

Report = Callable[[int], object]
INCOMPLETE = 3  # restic's exit code where it could not read all
GONE = re.compile(r"no such file or directory")
KINDS = frozenset({"file", "dir", "symlink", "fifo"})
LEFT_OUT = "socket"  # as tar leaves them out
PATIENCE = "--retry-lock=5m"  # no store waits meanwhile
MAX_TEXT = 4 << 20


@dataclass(slots=True)
class Survey:
    """What a volume holds: `state` changes with every file that does."""

    files: int
    size: int
    state: str


@dataclass(slots=True)
class Contents:
    """What a snapshot holds of a volume; `tree` is a hash of all of it."""

    tree: str = ""
    files: int = 0
    size: int = 0


def survey(volume: Path) -> Survey:
    """Return what *volume* holds now. Refused where some of it is a device."""
    digest, files, size = sha256(), 1, 0
    for path, state in walk(volume):
        mode = state.st_mode
        if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):
            raise Refused(f"{printable(path)} is a device")
        if stat.S_ISSOCK(mode):
            continue
        files += 1
        size += state.st_size if stat.S_ISREG(mode) else 0
        told = (mode, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
        digest.update(repr((path, told)).encode())
    return Survey(files, size, digest.hexdigest())


def keep(
    restic: Restic,
    volume: Path,
    *,
    host: str,
    tags: Sequence[str],
    exclude: Sequence[str],
    changes: str,
    progress: Report,
) -> dict[str, Any]:
    """
    Write a snapshot of *volume*, and read back what it lists.

    *host* tells restic which snapshot came before. *changes* says what may happen to
    files meanwhile: none, growth or any. Returns {"settled", "snapshot", "tree",
    "files", "bytes" (of contents), "size" (that was added)}. Raises Failed.
    """
    before = survey(volume)
    summary: dict[str, Any] = {}
    whole = True

    def tolerates(code: int, said: str) -> bool:
        nonlocal whole
        lost = [line for line in said.splitlines() if "Warning" not in line]
        whole = False
        gone = all(GONE.search(line) for line in lost)
        return code == INCOMPLETE and changes != "none" and gone

    left_out = [*exclude, *map(os.fsdecode, sorted(reserved.LEFT_OUT))]
    words = [
        *("backup", "--json", "--one-file-system", "--no-scan"),
        *(f"--host={host}", *(f"--tag={tag}" for tag in tags)),
        *(f"--exclude={volume}/{name.removeprefix('./')}" for name in left_out),
        str(volume),
    ]
    with restic.running(*words, tolerates=tolerates) as stream:
        for line in stream:
            found = json.loads(line)
            if found.get("message_type") == "status":
                progress(found.get("bytes_done", 0))
            elif found.get("message_type") == "summary":
                summary = found
    if "snapshot_id" not in summary:
        raise Failed("restic wrote no snapshot")
    if changes == "none" and survey(volume).state != before.state:
        raise Failed("the volume could not be read: files changed as they were read")
    held = contents(restic, summary["snapshot_id"])
    if changes == "none" and not exclude and held.files != before.files:
        raise Failed(f"the snapshot holds {held.files} of {before.files} files")
    return {
        "settled": whole or changes == "any",
        "snapshot": summary["snapshot_id"],
        "tree": held.tree,
        "files": held.files,
        "bytes": held.size,
        "size": summary.get("data_added_packed", summary.get("data_added", 0)),
    }


def contents(restic: Restic, snapshot: str) -> Contents:
    """Return what a snapshot lists. Refused for what must not come into a volume."""
    found = Contents()
    with restic.running("ls", "--json", "--no-lock", snapshot) as stream:
        for node in map(json.loads, stream):
            kind = node.get("type")
            if node.get("struct_type") == "snapshot":
                found.tree = str(node["tree"])
            if node.get("struct_type") != "node" or kind == LEFT_OUT:
                continue
            if kind not in KINDS:
                raise Refused(f"{node.get('path', '')!r:.200} is a {kind}")
            found.files += 1
            found.size += int(node.get("size", 0)) if kind == "file" else 0
    return found


def _expected(restic: Restic, snapshot: str, tree: str) -> Contents:
    held = contents(restic, snapshot)
    if held.tree != tree:
        raise Refused("the snapshot is another than the manifest's")
    return held


def read(
    restic: Restic, snapshot: str, *, tree: str, progress: Report
) -> dict[str, Any]:
    """Read all that a snapshot holds; each piece is compared with its own hash."""
    held, done = _expected(restic, snapshot, tree), 0
    with restic.running("dump", "--no-lock", snapshot, "/") as stream:
        while piece := stream.read(PIECE):
            done += len(piece)
            progress(done)
    return {"files": held.files, "bytes": held.size}


def stage(
    restic: Restic,
    volume: Path,
    *,
    restore: str,
    snapshot: str,
    tree: str,
    max_files: int,
    max_bytes: int,
    progress: Report,
) -> dict[str, Any]:
    """
    Unpack a snapshot beside the data in *volume*. Raises Failed; nothing stays then.

    It is restored with its own top folder, which thereby keeps owner, mode and times.
    """
    held = _expected(restic, snapshot, tree)
    if held.files > max_files or held.size > max_bytes:
        raise Refused("it holds more than its manifest says")
    staged = swapping.prepare(volume, restore)
    try:
        _restore(restic, volume, snapshot, staged, progress)
    except Failed as failed:
        swapping.discard(volume, restore)
        if "no space left" in str(failed):
            raise Failed("the volume is full") from None
        raise
    return {"files": held.files, "bytes": held.size}


def _restore(
    restic: Restic, volume: Path, snapshot: str, staged: Path, progress: Report
) -> None:
    """Restore a snapshot's top folder at *staged*."""
    target = staged.with_name("restoring")
    words = ("restore", "--json", "--no-lock", "--sparse", f"--target={target}")
    with restic.running(*words, snapshot) as stream:
        for line in stream:
            progress(int(json.loads(line).get("bytes_restored", 0)))
    top = target / volume.relative_to("/")
    if not top.is_dir() or top.is_symlink():
        raise Refused("it does not hold a volume: its top is missing")
    staged.rmdir()
    top.rename(staged)
    removing.remove(target)
    if subprocess.run(["sync", "-f", volume], check=False).returncode != 0:
        raise Failed("the volume could not be synchronised")


def write_text(
    restic: Restic, text: str, *, name: str, host: str, tags: Sequence[str]
) -> dict[str, Any]:
    """Write a small file as a snapshot of its own; return {"snapshot"}."""
    words = [
        *("backup", "--json", "--stdin", f"--stdin-filename={name}", f"--host={host}"),
        *(f"--tag={tag}" for tag in tags),
    ]
    with restic.running(*words, text=text.encode()) as stream:
        found = [json.loads(line) for line in stream]
    ids = [one["snapshot_id"] for one in found if "snapshot_id" in one]
    if not ids:
        raise Failed("restic wrote no snapshot")
    return {"snapshot": ids[-1]}


def listed(
    restic: Restic, *, tags: Sequence[str], name: str, known: Sequence[str]
) -> dict[str, Any]:
    """
    Return the snapshots with all of *tags*, and what the unknown ones' texts hold.

    {"snapshots": [{"id", "tags", "time", "tree"}], "texts": {id: text}}: a text is the
    file at *name* of a snapshot that has it alone. An overlong one is cut.
    """
    found = restic.answer("snapshots", "--no-lock", f"--tag={','.join(tags)}") or []
    kept = [
        {
            "id": str(one["id"]),
            "tags": [str(tag) for tag in one.get("tags") or ()],
            "time": str(one["time"]),
            "tree": str(one.get("tree", "")),
            "is_text": one.get("paths") == [name],
        }
        for one in found
    ]
    texts = {
        one["id"]: _text(restic, one["id"], name)
        for one in kept
        if one["is_text"] and one["id"] not in known
    }
    return {"snapshots": kept, "texts": texts}


def _text(restic: Restic, snapshot: str, name: str) -> str:
    with restic.running("dump", "--no-lock", snapshot, name) as stream:
        text = stream.read(MAX_TEXT + 1)
        while stream.read(PIECE):
            pass
    return text.decode(errors="replace")


def opened(restic: Restic, *, create: bool, alike: bool = False) -> dict[str, Any]:
    """
    Return {"id", "version"} of the repository; with *create* make a missing one.

    It cuts files as the source does where it is to be *alike*: what both have is one.
    """
    try:
        found = restic.answer("cat", "config", "--no-lock")
    except Failed as failed:
        if failed.kind != "missing" or not create:
            raise
        restic.quiet("init", *(["--copy-chunker-params"] if alike else []))
        found = restic.answer("cat", "config", "--no-lock")
    return {"id": str(found["id"]), "version": int(found["version"])}


def copied(restic: Restic, *, snapshots: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Copy snapshots of the source, group by group in order."""
    for group in snapshots:
        restic.quiet("copy", *group)
    return {}


def forget(restic: Restic, snapshots: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Forget snapshots, group by group in order, then drop what nobody needs."""
    for group in snapshots:
        restic.quiet("forget", PATIENCE, *group)
    restic.quiet("prune", PATIENCE)
    return {}


def locks(restic: Restic) -> dict[str, Any]:
    """Return {"locks": [{"hostname", "time", "pid", "exclusive"}]} of a repository."""
    with restic.running("list", "locks", "--no-lock", "--quiet") as stream:
        ids = stream.read().decode().split()
    return {"locks": [restic.answer("cat", "lock", id_, "--no-lock") for id_ in ids]}


def checked(restic: Restic, *, subset: str = "") -> dict[str, Any]:
    """Check the repository's structure; with *subset* ("1/7") read so much of it."""
    restic.quiet(
        "check", PATIENCE, *([f"--read-data-subset={subset}"] if subset else [])
    )
    return {}


def unlock(restic: Restic) -> dict[str, Any]:
    """Remove every lock; for whoever knows that nobody holds one."""
    restic.quiet("unlock", "--remove-all")
    return {}
