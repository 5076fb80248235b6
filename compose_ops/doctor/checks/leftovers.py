"""What interrupted tasks left, and how old the newest backup is."""

from collections.abc import Iterator
from pathlib import Path

from compose_ops.doctor.checks.secret_files import shown
from compose_ops.doctor.facts.leftovers import BackupAge, Journals, KeptData, Leftover
from compose_ops.doctor.registry import check
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_duration
from compose_ops.verdicts import Verdict, command, fail, listed, ok, warn

AT_WORK_SECONDS = 3600
BACKUP_SECONDS = 7 * 24 * 3600.0


@check(
    "journals",
    "No task was interrupted in the middle.",
    why="A killed backup leaves services stopped, a killed update two versions: the "
    "journal says what is still to be undone.",
)
def journals_ended(stack: StackContext, journals: Journals) -> Iterator[Verdict]:
    if journals.left and journals.holder:
        yield ok(f"at work: {journals.holder}")
        return
    for one in journals.left:
        age = readable_duration(one.age)
        if one.problem:
            path = shown(stack, one.path)
            yield fail(
                f"{one.task} was interrupted {age} ago, and {one.problem}",
                command("mv", path, f"{path}.damaged"),
                about=one.path.name,
            )
            continue
        repair = "invoke up"
        if one.kind == "update" and one.services:
            repair = command("invoke", "rolling-update", "--service", one.services[0])
        yield fail(
            f"{one.task} was interrupted {age} ago at the step '{one.step}' "
            f"({shown(stack, one.path)})",
            repair,
            about=one.path.name,
        )
    if not journals.left:
        yield ok("no task was interrupted")


@check(
    "partial-files",
    "No half-written file of an ended task is left.",
    why="It takes room and is good for nothing.",
)
def partial_files_gone(
    stack: StackContext, partial_files: tuple[Leftover, ...], journals: Journals
) -> Iterator[Verdict]:
    if partial_files and journals.holder:
        yield ok(f"at work: {journals.holder}")
        return
    old = [one for one in partial_files if one.age > AT_WORK_SECONDS]
    for one in old:
        path = shown(stack, one.path)
        yield warn(
            f"{path} was never finished ({readable_duration(one.age)} ago)",
            command("rm", "-r", path),
            about=path,
            safe=is_own(stack, one.path),
        )
    if not old:
        yield ok("no half-written file is left")


def is_own(stack: StackContext, path: Path) -> bool:
    """Say whether a partial file can only be a task's of this project."""
    backups = stack.backups
    return path.parent in {stack.root, backups, backups / stack.project}


@check(
    "kept-data",
    "Data that a restore moved aside is discarded after its time.",
    why="It takes as much room as the data in use.",
)
def kept_data_discarded(kept_data: tuple[KeptData, ...]) -> Iterator[Verdict]:
    for one in kept_data:
        names = listed(one.services)
        told = f"a restore moved data of {names} aside {readable_duration(one.age)} ago"
        if one.is_outlived:
            flags = [w for name in one.services for w in ("--service", name)]
            repair = command("invoke", "restore", "--discard", *flags)
            yield warn(told, repair, about=names)
        else:
            yield ok(told)
    if not kept_data:
        yield ok("no restore keeps data")


@check(
    "backup-age",
    "Data that has been in use for a week has a verified backup of this week.",
    why="The newest verified backup is what a lost disk costs.",
)
def backup_recent(backup_age: BackupAge) -> Iterator[Verdict]:
    if backup_age.data is None:
        yield ok("no data is in use")
    elif backup_age.verified is None and backup_age.data > BACKUP_SECONDS:
        span = readable_duration(backup_age.data)
        said = f"the data is in use for {span} and has no verified backup"
        yield warn(said, "invoke backup --all", about="none")
    elif backup_age.verified is None:
        yield ok("no verified backup yet")
    elif backup_age.verified > BACKUP_SECONDS:
        span = readable_duration(backup_age.verified)
        said = f"the last verified backup is {span} old"
        yield warn(said, "invoke backup --all", about="old")
    else:
        yield ok(f"verified backup {readable_duration(backup_age.verified)} ago")
