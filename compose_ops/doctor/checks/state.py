"""What tasks remember about the project on this engine."""

from collections.abc import Iterator

from compose_ops.doctor.checks.secret_files import shown
from compose_ops.doctor.facts.state import DamagedState, State
from compose_ops.doctor.registry import check
from compose_ops.project.paths import OWN_STATE, STATE
from compose_ops.runtime.context import StackContext
from compose_ops.verdicts import Verdict, command, fail, ok


@check(
    "state-open",
    "This user may read and write what tasks remember.",
    why="A task that root ran closes it; journals and deployed images are there.",
)
def state_open(state: State) -> Iterator[Verdict]:
    if state.closed:
        repair = OWN_STATE.replace(STATE, state.folder.parents[1].name)
        yield fail(f"{state.closed} is closed to this user", repair, about="closed")
    else:
        yield ok("what tasks remember is open to this user")


@check(
    "state-readable",
    "What tasks remember can be read.",
    why="A task that needs a damaged file refuses to go on without it.",
)
def state_readable(
    stack: StackContext, damaged_state: tuple[DamagedState, ...]
) -> Iterator[Verdict]:
    for one in damaged_state:
        path = shown(stack, one.path)
        yield fail(
            f"{one.problem}; {one.without}",
            command("mv", path, f"{path}.damaged"),
            about=one.path.name,
        )
    if not damaged_state:
        yield ok("what tasks remember can be read")
