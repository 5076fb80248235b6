"""What is accepted in place must be there to accept."""

from collections.abc import Iterator

from compose_ops.lint.finding import RawFinding
from compose_ops.lint.registry import rule
from compose_ops.lint.target import LintTarget


@rule(
    "accepted-nothing",
    "warning",
    "Something is accepted in place that no rule finds there.",
    why="An old exception hides the next fault of its kind.",
    source="`check_all` compares what is accepted with what was found",
    repair="Delete the exception, or correct the rule's name and give a reason.",
    acceptable=False,
)
def accepted_nothing(_subject: LintTarget) -> Iterator[RawFinding]:
    # Known only once all combinations are judged: check.check_all yields these.
    yield from ()
