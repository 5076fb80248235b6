"""What interrupted tasks left behind, and the age of the newest backup."""

from collections.abc import Iterator
from pathlib import Path

from compose_ops.doctor.checks.secret_files import relative
from compose_ops.doctor.facts.leftovers import (
    AllKeptData,
    BackupAge,
    DataDeclared,
    EngineLock,
    Journals,
    Leftover,
    secret_folders,
)
from compose_ops.doctor.registry import check
from compose_ops.runtime.context import StackContext
from compose_ops.units import readable_duration
from compose_ops.verdicts import Verdict, command, fail, listed, ok, warn

AT_WORK_SECONDS = 3600
BACKUP_SECONDS = 7 * 24 * 3600.0


@check(
    "journals",
    "No task was interrupted.",
    why="A killed backup leaves services stopped, a killed update leaves two "
    "versions; the journal states what to undo.",
)
def journals_ended(stack: StackContext, journals: Journals) -> Iterator[Verdict]:
    if journals.left and journals.holder:
        yield ok(f"another task is running: {journals.holder}")
        return
    for task in journals.left:
        age = readable_duration(task.age)
        if task.problem:
            path = relative(stack, task.path)
            yield fail(
                f"{task.task} was interrupted {age} ago, and {task.problem}",
                command("mv", path, f"{path}.damaged"),
                about=task.path.name,
            )
            continue
        yield fail(
            f"{task.task} was interrupted {age} ago at the step '{task.step}' "
            f"({relative(stack, task.path)})",
            "invoke recover",
            about=task.path.name,
        )
    if not journals.left:
        yield ok("no task was interrupted")


@check(
    "engine-lock",
    "No other machine holds the project's lock on the engine for hours.",
    why="A machine that lost its power or its network in a task leaves it; until it is "
    "removed no other machine can change the project.",
)
def engine_lock_released(engine_lock_holder: EngineLock) -> Iterator[Verdict]:
    held = engine_lock_holder.held
    if held is None:
        yield ok("no machine holds the lock")
    elif engine_lock_holder.here:
        yield ok(f"another task is running: {engine_lock_holder.here}")
    elif held.is_of_this_machine:
        yield ok("a task of this machine left the lock; the next one takes it over")
    elif held.age > AT_WORK_SECONDS:
        yield warn(
            f"{held.host} has held the lock for {readable_duration(held.age)} "
            f"({held.task})",
            command("docker", "volume", "rm", held.volume),
            about=held.host,
        )
    else:
        yield ok(f"another machine is at work: {held}")


@check(
    "partial-files",
    "No unfinished file of an interrupted task is left.",
    why="It uses disk space and cannot be used.",
)
def partial_files_gone(
    stack: StackContext, partial_files: tuple[Leftover, ...], journals: Journals
) -> Iterator[Verdict]:
    if partial_files and journals.holder:
        yield ok(f"another task is running: {journals.holder}")
        return
    old = [leftover for leftover in partial_files if leftover.age > AT_WORK_SECONDS]
    for leftover in old:
        path = relative(stack, leftover.path)
        yield warn(
            f"{path} is unfinished (last written {readable_duration(leftover.age)} "
            "ago)",
            command("rm", "-r", path),
            about=path,
            safe=is_own(stack, leftover.path),
        )
    if not old:
        yield ok("no unfinished file is left")


def is_own(stack: StackContext, path: Path) -> bool:
    """Say whether a partial file can only be a task's of this project."""
    backups = stack.backups
    folders = {stack.root, backups, backups / stack.project}
    return path.parent in folders | {*secret_folders(stack.config)}


@check(
    "kept-data",
    "Data that a restore set aside is discarded after its retention time.",
    why="It uses as much disk space as the data in use.",
)
def kept_data_discarded(kept_data: AllKeptData) -> Iterator[Verdict]:
    for data in kept_data.offered:
        names = listed(data.services)
        detail = (
            f"a restore set data of {names} aside {readable_duration(data.age)} ago"
        )
        if data.is_outlived:
            flags = [w for name in data.services for w in ("--service", name)]
            repair = command("invoke", "restore", "--discard", *flags)
            yield warn(detail, repair, about=names)
        else:
            yield ok(detail)
    for line in kept_data.lost:
        yield ok(line)
    if not kept_data.offered and not kept_data.lost:
        yield ok("no restore has set data aside")


@check(
    "backup-age",
    "Data older than a week has a verified backup of the last week.",
    why="Everything since the newest verified backup is lost with the disk.",
)
def backup_recent(backup_age: BackupAge) -> Iterator[Verdict]:
    if backup_age.data is None:
        yield ok("no data is in use")
    elif backup_age.verified is None and backup_age.data > BACKUP_SECONDS:
        span = readable_duration(backup_age.data)
        detail = f"the data is {span} old and has no verified backup"
        yield warn(detail, "invoke backup --all", about="none")
    elif backup_age.verified is None:
        yield ok("no verified backup yet")
    elif backup_age.verified > BACKUP_SECONDS:
        span = readable_duration(backup_age.verified)
        detail = f"the last verified backup is {span} old"
        yield warn(detail, "invoke backup --all", about="old")
    else:
        yield ok(f"verified backup {readable_duration(backup_age.verified)} ago")


@check(
    "data-declared",
    "Every writable mount is declared as data or as disposable, by labels that make "
    "sense.",
    why="What nobody declares is in no backup; `backup --all` refuses to leave it out. "
    "A copy of a running store that nothing holds is not consistent.",
)
def data_is_declared(data_declared: DataDeclared) -> Iterator[Verdict]:
    if data_declared.problem:
        yield fail(data_declared.problem, "invoke lint", about="labels")
    for mount in data_declared.undeclared:
        yield warn(
            f"neither data nor disposable: {mount}",
            "invoke backup --all --allow-undeclared",
            about=mount,
        )
    if data_declared == DataDeclared():
        yield ok("every writable mount is declared")
