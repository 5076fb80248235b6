"""Restore a set where it hurts nobody, boot its stores on it, and record the result."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jimbot_stack import health
from jimbot_stack import journal as journals
from jimbot_stack.backup import (
    asking,
    belief,
    halting,
    helper,
    preconditions,
    proof,
    scratch,
    sets,
)
from jimbot_stack.backup.helper import Work
from jimbot_stack.backup.manifest import Manifest
from jimbot_stack.backup.parts import Part, parts_of
from jimbot_stack.backup.policy import policies
from jimbot_stack.backup.sets import Kept
from jimbot_stack.backup.transaction import unpack
from jimbot_stack.change import changing
from jimbot_stack.console import health_progress, say
from jimbot_stack.engine import Engine
from jimbot_stack.errors import DataError, StackError
from jimbot_stack.journal import Journal
from jimbot_stack.stack import Stack


def drill(stack: Stack, dest: Path, *, set_id: str, identity: str) -> dict[str, Any]:
    """
    Restore the newest verified set, or *set_id*, into scratch volumes and boot it.

    Returns {"set", "counts": {service: number or null}}. Whatever happens nothing of
    it stays, and the set's record says when it was drilled and how it went. Raises
    DataError or UnhealthyError when the set cannot be restored.
    """
    kept = sets.choose(dest, stack.project, set_id=set_id)
    manifest = sets.believed(kept)
    keys = proof.identities(manifest, identity, needed=True)
    known = policies(stack.model)
    if unknown := [s.service for s in manifest.stores if s.service not in known]:
        say(f"not in the compose files, and not drilled: {', '.join(unknown)}")
    parts = [
        replace(part, volume=scratch.volume_name(stack, part.archive.key))
        for store in manifest.stores
        if store.service in known
        for part in parts_of(stack, manifest, known[store.service])
    ]
    if not parts:
        raise DataError(
            f"{manifest.id} holds nothing that can be drilled",
            hint="invoke backups lists the sets",
        )
    with changing(stack, "invoke drill"):
        helper.require(stack)
        counts = _recorded(stack, kept, parts, keys)
    return {"set": manifest.id, "counts": counts}


def _recorded(
    stack: Stack, kept: Kept, parts: Sequence[Part], keys: Sequence[Any]
) -> dict[str, int | None]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        counts = _held(stack, kept, parts, keys)
    except StackError as failed:
        sets.note(kept.path, drill={"at": now, "result": failed.message})
        raise
    sets.note(kept.path, drilled=now, drill={"at": now, "result": "restored"})
    return counts


def _held(
    stack: Stack, kept: Kept, parts: Sequence[Part], keys: Sequence[Any]
) -> dict[str, int | None]:
    services = list(dict.fromkeys(part.policy.service for part in parts))
    file = scratch.written(stack, services)
    now = datetime.now(UTC)
    journal = journals.begin(
        stack, "drill", f"{now:%Y%m%dT%H%M%S}-{now.microsecond:06d}", file=str(file)
    )
    try:
        return _boot(stack, journal, kept, parts, keys)
    finally:
        scratch.undo(stack, journal)


def _boot(
    stack: Stack,
    journal: Journal,
    kept: Kept,
    parts: Sequence[Part],
    keys: Sequence[Any],
) -> dict[str, int | None]:
    place = scratch.engine(stack, Path(journal.facts["file"]))
    services = list(dict.fromkeys(part.policy.service for part in parts))
    place.up(services, start=False)
    manifest = sets.believed(kept)
    for part in parts:
        preconditions.check_room(stack, part)
        with belief.doubted(kept):
            proof.check_archive(stack, kept, part.archive, keys)
        path = proof.stored(kept, manifest, part.archive)
        with proof.source(path, keys) as (end, reading):
            _fill(stack, journal, manifest, part, end=end, reading=reading)
    say("booting " + ", ".join(services) + " on what was restored")
    place.up(services)
    with health_progress() as report:
        health.wait_until_healthy(
            lambda: place.containers(project=scratch.project(stack)),
            expected=dict.fromkeys(services, 1),
            timeout=stack.model.patience(services),
            clock=halting.CLOCK,
            report=report,
        )
    return _counted(stack, place, parts)


def _fill(
    stack: Stack,
    journal: Journal,
    manifest: Manifest,
    part: Part,
    *,
    end: Path,
    reading: Any,
) -> None:
    run = journal.facts["run"]
    work = Work(
        run=run, label=part.volume, volume=part.volume, archive=end, changes=True
    )
    with helper.helper(stack, work) as talk:
        with reading():
            unpack(talk, run, manifest, part)
        if part.policy.mend:
            talk.ask("mend", restore=run, command=part.policy.mend)
        talk.ask("swap in", restore=run)
        talk.ask("commit", restore=run)


def _counted(
    stack: Stack, place: Engine, parts: Sequence[Part]
) -> dict[str, int | None]:
    counts: dict[str, int | None] = {}
    there = place.containers(project=scratch.project(stack))
    for part in parts:
        (container,) = [c for c in there if c.service == part.policy.service]
        found = asking.count(place, part.policy, container)
        counts[part.policy.service] = found
        if not part.store.holds(found):
            raise DataError(
                f"{part.policy.service} counts {found} in the drill, the set says "
                f"{' to '.join(map(str, part.store.count))}",
                hint="take another backup, and drill it",
            )
    return counts
