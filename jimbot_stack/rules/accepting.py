"""What is accepted in place must be there to accept."""

from collections.abc import Iterator

from .finding import Hit
from .registry import rule
from .subject import Subject


@rule(
    "accepted-nothing",
    "warning",
    "Something is accepted in place that no rule finds there.",
    why="An old exception hides the next fault of its kind.",
    source="`check_all` compares what is accepted with what was found",
    repair="Delete the exception, or correct the rule's name and give a reason.",
    acceptable=False,
)
def accepted_nothing(_subject: Subject) -> Iterator[Hit]:
    # Known only once all combinations are judged: check.check_all yields these.
    yield from ()
