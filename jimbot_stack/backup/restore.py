"""Bring a set back as a transaction: all of it, healthy and counted, or none."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jimbot_stack import checks
from jimbot_stack import journal as journals
from jimbot_stack.backup import (
    asking,
    halting,
    helper,
    preconditions,
    previous,
    proof,
    rollback,
    sets,
)
from jimbot_stack.backup.helper import Helper, Work
from jimbot_stack.backup.manifest import Archive, Manifest, Store
from jimbot_stack.backup.policy import Policy, choose, policies
from jimbot_stack.backup.progress import meter
from jimbot_stack.backup.sets import Kept
from jimbot_stack.change import changing
from jimbot_stack.console import confirm, say
from jimbot_stack.engine import PROJECT_LABEL
from jimbot_stack.errors import DataError, StackError, UsageError
from jimbot_stack.journal import Journal
from jimbot_stack.stack import Stack
from jimbot_stack.units import readable_size

BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Wish:
    """What `invoke restore` was asked for; `dest` is absolute."""

    services: Sequence[str] = ()
    everything: bool = False
    dest: Path = Path("backups")
    set_id: str = ""
    at: datetime | None = None
    from_project: str = ""
    identity: str = ""
    yes: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One volume that is to be replaced."""

    policy: Policy
    store: Store
    archive: Archive
    volume: str


def restore(stack: Stack, wish: Wish) -> Manifest | None:
    """
    Replace the data of services by a set's, and return its manifest; None with `--dry`.

    Nothing is touched before the archives are verified and the version fits. Whatever
    fails afterwards, the previous data is put back. Raises DataError, UsageError.
    """
    kept, parts = _selected(stack, wish)
    named = {part.policy.service for part in parts}
    stopped = {d for name in named for d in stack.model.dependents(name)}
    checks.require(stack, checks.RESTORE, services=named | stopped)
    manifest = sets.believed(kept)
    keys = proof.identities(manifest, wish.identity, needed=True)
    with changing(stack, "invoke restore"):
        helper.require(stack)
        for part in parts:
            proof.check_archive(stack, kept, part.archive, keys)
        _check(stack, parts)
        _show_plan(stack, manifest, parts)
        if stack.dry:
            return None
        if not confirm("The present data is moved aside.", yes=wish.yes):
            raise UsageError(
                "nothing was restored: it was not confirmed",
                hint="--yes answers for a script",
            )
        with _transaction(stack, parts) as journal:
            _create_missing(stack, parts)
            _halt(stack, journal, parts)
            _stage(stack, journal, kept, parts, keys)
            _swap_and_try(stack, journal, parts)
    return manifest


def _selected(stack: Stack, wish: Wish) -> tuple[Kept, list[Part]]:
    chosen = choose(stack.model, wish.services, everything=wish.everything)
    project = wish.from_project or stack.project
    kept = sets.choose(
        wish.dest,
        project,
        services=tuple(wish.services),
        set_id=wish.set_id,
        at=wish.at,
    )
    manifest = sets.believed(kept)
    if manifest.project != project:
        raise DataError(
            f"{kept.id} is a set of the project {manifest.project}, not {project}",
            hint=f"--from-project {manifest.project} restores it here",
        )
    if wish.everything:
        known = policies(stack.model)
        chosen = tuple(known[s.service] for s in manifest.stores if s.service in known)
    parts = [part for policy in chosen for part in parts_of(stack, manifest, policy)]
    return kept, parts


def parts_of(stack: Stack, manifest: Manifest, policy: Policy) -> list[Part]:
    store = manifest.store(policy.service)
    if store is None:
        raise DataError(
            f"{manifest.id} does not hold {policy.service}",
            hint="invoke backups shows what each set holds",
        )
    archives = {archive.key: archive for archive in store.archives}
    if set(archives) != set(policy.volumes):
        raise DataError(
            f"{manifest.id} holds other volumes of {policy.service} than the compose "
            "files name",
            hint=f"they name: {', '.join(policy.volumes)}",
        )
    return [
        Part(policy, store, archives[key], stack.model.volume_name(key))
        for key in policy.volumes
    ]


def _check(stack: Stack, parts: Sequence[Part]) -> None:
    """Refuse a version, a volume or a lack of space that would end badly."""
    there = stack.refresh()
    for part in parts:
        asking.check_version(
            part.policy.service,
            kept=part.store.version,
            present=asking.version(stack, part.policy, there),
        )
        volume = stack.engine.volume(part.volume)
        if volume is None:
            continue
        if volume.labels.get(PROJECT_LABEL) != stack.project:
            raise DataError(
                f"the volume {part.volume} is not the project's",
                hint=f"docker volume inspect {part.volume}",
            )
        preconditions.check_users(stack, part.policy, part.volume)
        _check_space(stack, part)


def _check_space(stack: Stack, part: Part) -> None:
    needed = part.archive.bytes + part.archive.files * BLOCK
    work = Work(run="look", label=part.volume, volume=part.volume)
    with helper.helper(stack, work) as talk:
        free = talk.ask("measure")["free"]
    if needed > free:
        raise DataError(
            f"the volume {part.volume} has {readable_size(free)} free, the data needs "
            f"{readable_size(needed)} beside what is there",
            hint="make room on the engine's disk",
        )


def _show_plan(stack: Stack, manifest: Manifest, parts: Sequence[Part]) -> None:
    for part in parts:
        say(
            f"{'would ' if stack.dry else ''}replace the data of "
            f"{part.policy.service} in {part.volume} by {manifest.id}: "
            f"{readable_size(part.archive.bytes)}, {part.archive.files} files, "
            f"{part.store.consistency}, taken {manifest.created}"
        )
    services = [part.policy.service for part in parts]
    stopped = [*halting.dependents_of(stack, services), *services]
    say("stopped meanwhile, if they run: " + ", ".join(dict.fromkeys(stopped)))


@contextmanager
def _transaction(
    stack: Stack, parts: Sequence[Part], *, earlier: str = ""
) -> Iterator[Journal]:
    """Run the block to its commit; if it fails, bring the previous data back."""
    now = datetime.now(UTC)
    journal = journals.begin(
        stack,
        "restore",
        f"{now:%Y%m%dT%H%M%S}-{now.microsecond:06d}",
        services=list(dict.fromkeys(part.policy.service for part in parts)),
        volumes=[part.volume for part in parts],
        moved=now.isoformat(timespec="seconds"),
        earlier=earlier,
    )
    try:
        yield journal
    except StackError as failed:
        rollback.undo(stack, journal)
        failed.hint = "the data from before the restore is in place again"
        raise
    except BaseException:
        rollback.undo(stack, journal)
        raise
    rollback.finish(stack, journal)


def _create_missing(stack: Stack, parts: Sequence[Part]) -> None:
    """Let Compose make containers and volumes that are not there, with its labels."""
    there = {c.service for c in stack.refresh()}
    missing = {
        part.policy.service
        for part in parts
        if part.policy.service not in there or not stack.engine.volume(part.volume)
    }
    if missing:
        say("making what is not there yet: " + ", ".join(sorted(missing)))
        stack.engine.up(sorted(missing), start=False, dependencies=False)


def _halt(stack: Stack, journal: Journal, parts: Sequence[Part]) -> None:
    services = journal.facts["services"]
    there = stack.refresh()
    stores = halting.running_of(there, services)
    dependents = halting.running_of(there, halting.dependents_of(stack, services))
    counts: dict[str, int] = {}
    for part in parts:
        for container in stores:
            if container.service == part.policy.service:
                found = asking.count(stack.engine, part.policy, container)
                counts |= {} if found is None else {part.policy.service: found}
    journal.reach(
        "stopping",
        stores=halting.as_halted(stores),
        dependents=halting.as_halted(dependents),
        counts=counts,
    )
    halting.stop(stack, journal.facts["dependents"])
    halting.stop(stack, journal.facts["stores"])


def _stage(
    stack: Stack,
    journal: Journal,
    kept: Kept,
    parts: Sequence[Part],
    keys: Sequence[Any],
) -> None:
    """Unpack every archive beside the data that it will replace."""
    manifest = sets.believed(kept)
    journal.reach("staging", touched=True)
    for part in parts:
        say(f"unpacking {readable_size(part.archive.bytes)} into {part.volume}")
        path = proof.stored(kept, manifest, part.archive)
        with proof.source(path, keys) as (end, reading):
            work = Work(
                run=journal.facts["run"],
                label=part.volume,
                volume=part.volume,
                archive=end,
                changes=True,
            )
            with helper.helper(stack, work) as talk:
                with reading():
                    unpack(talk, journal.facts["run"], manifest, part)
                if part.policy.mend:
                    talk.ask(
                        "mend", restore=journal.facts["run"], command=part.policy.mend
                    )


def unpack(talk: Helper, run: str, manifest: Manifest, part: Part) -> None:
    """Unpack a part's archive beside the data in its volume."""
    with meter(part.archive.key, part.archive.bytes) as report:
        talk.ask(
            "stage",
            report,
            restore=run,
            compression=manifest.compression,
            most_files=part.archive.files,
            most_bytes=part.archive.bytes,
            sha256=part.archive.plain_sha256,
        )


def _swap_and_try(stack: Stack, journal: Journal, parts: Sequence[Part]) -> None:
    """Swap the staged data in, start its stores, and commit once they prove it."""
    journal.reach("swapping")
    for part in parts:
        with rollback.at_volume(stack, journal, part.volume) as talk:
            talk.ask("swap in", restore=journal.facts["run"])
    journal.reach("trying")
    services = journal.facts["services"]
    containers = [c for c in stack.refresh() if c.service in services]
    tried = halting.as_halted(containers)
    halting.start(stack, tried)
    halting.wait(stack, tried)
    for part in parts:
        _compare_count(stack, part)
    journal.reach("committed", committed=True)


def _compare_count(stack: Stack, part: Part) -> None:
    """Raise DataError when the store does not hold what the set says."""
    if not part.store.count:
        return
    running = halting.running_of(stack.refresh(), [part.policy.service])
    found = asking.count(stack.engine, part.policy, running[0]) if running else None
    if not part.store.holds(found):
        raise DataError(
            f"{part.policy.service} counts {found} after the restore, the set says "
            f"{' to '.join(map(str, part.store.count))}"
        )


def undo(stack: Stack, services: Sequence[str], *, yes: bool) -> str:
    """Swap back what the newest restore of *services* moved aside; return its id."""
    with changing(stack, "invoke restore --undo"):
        entry = previous.newest(stack, stack.model.check_services(services))
        parts = _earlier_parts(stack, entry.services, entry.volumes, entry.counts)
        say(f"bringing back the data from before {entry.restore}: {entry.moved}")
        if not stack.dry:
            if not confirm("The present data is moved aside.", yes=yes):
                raise UsageError(
                    "nothing was changed", hint="--yes answers for a script"
                )
            with _transaction(stack, parts, earlier=entry.restore) as journal:
                _halt(stack, journal, parts)
                journal.reach("staging", touched=True)
                for part in parts:
                    with rollback.at_volume(stack, journal, part.volume) as talk:
                        talk.ask(
                            "adopt",
                            restore=journal.facts["run"],
                            earlier=entry.restore,
                        )
                _swap_and_try(stack, journal, parts)
    return entry.restore


def _earlier_parts(
    stack: Stack,
    services: Sequence[str],
    volumes: Sequence[str],
    counts: dict[str, int],
) -> list[Part]:
    known = policies(stack.model)
    return [
        Part(
            policy=known[service],
            store=_as_store(service, counts),
            archive=_nothing(key),
            volume=stack.model.volume_name(key),
        )
        for service in services
        for key in known[service].volumes
        if stack.model.volume_name(key) in volumes
    ]


def _as_store(service: str, counts: dict[str, int]) -> Store:
    count = (counts[service],) if service in counts else ()
    return Store(service, "stop", "", "", "", None, count, grows=True, archives=())


def _nothing(key: str) -> Archive:
    return Archive(key, "", "", {}, {}, "", 0, "", 0, 0, "")


def discard(stack: Stack, services: Sequence[str], *, yes: bool) -> list[str]:
    """Remove for good what restores of *services* moved aside; return their ids."""
    wanted = set(stack.model.check_services(services))
    with changing(stack, "invoke restore --discard"):
        found = [
            entry
            for entry in previous.listed(stack)
            if not wanted or wanted & set(entry.services)
        ]
        for entry in found:
            say(
                f"would lose the data of {', '.join(entry.services)} from before "
                f"the restore of {entry.moved}"
            )
        if found and not stack.dry:
            if not confirm("That data is lost for good.", yes=yes):
                raise UsageError("nothing was discarded", hint="--yes answers")
            for entry in found:
                previous.discard(stack, entry)
    return [entry.restore for entry in found]
