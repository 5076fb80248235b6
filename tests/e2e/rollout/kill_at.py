"""
Run `invoke WORDS`, and send it signals at step boundaries: SIGNAL@STEP[#TIME],… WORDS.

A boundary is what the journal notes; "#2" means the second time that it does. Each is
added to the file that BOUNDARIES names, before the signal. "-" sends none.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the checkout that the test made

from invoke.main import program

from jimbot_stack.rollout.journal import Journal

note, times = Journal.note, Counter[str]()
due: dict[str, str] = {}
for word in sys.argv[1].split(","):
    number, _, step = word.partition("@")
    due[step] = f"SIG{number}"


def note_and_signal(journal: Journal, step: str) -> None:
    note(journal, step)
    times[step] += 1
    name = step if times[step] == 1 else f"{step}#{times[step]}"
    with Path(os.environ["BOUNDARIES"]).open("a") as notes:
        notes.write(name + "\n")
    if name in due:
        os.kill(os.getpid(), signal.Signals[due[name]])


setattr(Journal, "note", note_and_signal)  # noqa: B010 - mypy wants a method there
program.run(["invoke", *sys.argv[2:]])
