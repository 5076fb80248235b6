"""Run `invoke WORDS` and kill it without warning at the step boundary AT: AT WORDS."""

import os
import signal
import sys
from itertools import count

sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the checkout that the test made

from invoke.main import program

from jimbot_stack.rollout.journal import Journal

note, at, numbers = Journal.note, int(sys.argv[1]), count(1)


def note_and_die(journal: Journal, step: str) -> None:
    note(journal, step)
    if next(numbers) == at:
        os.kill(os.getpid(), signal.SIGKILL)


setattr(Journal, "note", note_and_die)  # noqa: B010 - mypy wants a method there
program.run(["invoke", *sys.argv[2:]])
