"""The stored state of the project on this engine."""

from collections.abc import Iterator

from compose_ops.doctor.checks.secret_files import relative
from compose_ops.doctor.facts.state import DamagedState, State
from compose_ops.doctor.registry import check
from compose_ops.project.paths import OWN_STATE, STATE
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, ok


@check(
    "state-open",
    "This user can read and write the stored state.",
    why="A task that ran as root may own it; it holds journals and deployed images.",
)
def state_open(state: State) -> Iterator[Verdict]:
    if state.closed:
        repair = OWN_STATE.replace(STATE, state.folder.parents[1].name)
        yield fail(
            f"{state.closed} is not accessible to this user", repair, about="closed"
        )
    else:
        yield ok("the stored state is accessible to this user")


@check(
    "state-readable",
    "The stored state is valid.",
    why="A task that needs a damaged file refuses to continue.",
)
def state_readable(
    stack: StackContext, damaged_state: tuple[DamagedState, ...]
) -> Iterator[Verdict]:
    for file in damaged_state:
        path = relative(stack, file.path)
        yield fail(
            f"{file.problem}; {file.without}",
            command("mv", path, f"{path}.damaged"),
            about=file.path.name,
        )
    if not damaged_state:
        yield ok("the stored state is valid")
