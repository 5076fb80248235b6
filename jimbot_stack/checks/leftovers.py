"""What interrupted tasks left: journals and partial files."""

from collections.abc import Iterator

from jimbot_stack.checks.facts.leftovers import Leftover
from jimbot_stack.checks.registry import check
from jimbot_stack.checks.secret_files import shown
from jimbot_stack.checks.verdict import Verdict, command, fail, ok, warn
from jimbot_stack.stack import Stack
from jimbot_stack.units import readable_duration

AT_WORK_SECONDS = 3600


@check(
    "journals",
    "No task was interrupted in the middle.",
    why="A killed backup leaves services stopped, a killed update two versions: the "
    "journal says what is still to be undone.",
)
def journals_ended(stack: Stack, journals: tuple[Leftover, ...]) -> Iterator[Verdict]:
    for journal in journals:
        task = journal.path.name.partition("-")[0].partition(".")[0]
        yield fail(
            f"a {task} was interrupted {readable_duration(journal.age)} ago "
            f"({shown(stack, journal.path)})",
            "invoke recover",
            about=journal.path.name,
        )
    if not journals:
        yield ok("no task was interrupted")


@check(
    "partial-files",
    "No half-written file of an ended task is left.",
    why="It takes room and is good for nothing.",
)
def partial_files_gone(
    stack: Stack, partial_files: tuple[Leftover, ...]
) -> Iterator[Verdict]:
    old = [one for one in partial_files if one.age > AT_WORK_SECONDS]
    for one in old:
        path = shown(stack, one.path)
        yield warn(
            f"{path} was never finished ({readable_duration(one.age)} ago)",
            command("rm", "-r", path),
            about=path,
            safe=True,
        )
    if not old:
        yield ok("no half-written file is left")
