"""What tasks remember about the project on this engine."""

from collections.abc import Iterator

from compose_ops.doctor.facts.state import State
from compose_ops.doctor.registry import check
from compose_ops.project.paths import OWN_STATE
from compose_ops.verdicts import Verdict, fail, ok


@check(
    "state-open",
    "This user may read and write what tasks remember.",
    why="A task that root ran closes it; journals and deployed images are there.",
)
def state_open(state: State) -> Iterator[Verdict]:
    if state.closed:
        yield fail(f"{state.closed} is closed to this user", OWN_STATE, about="closed")
    else:
        yield ok("what tasks remember is open to this user")
