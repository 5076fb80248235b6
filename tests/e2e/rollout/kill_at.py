"""
Run `invoke WORDS`, and send it signals at step boundaries: [SIGNAL@]STEP,… WORDS.

A boundary is what the journal notes; STEP names it, with "#2" when it comes for the
second time, or is its number. The signal is KILL unless another is named, "-" sends
none. Each boundary is added to the file that BOUNDARIES names, before its signal.
"""

import os
import signal
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, os.getcwd())  # noqa: PTH109 - the checkout that the test made

from invoke.main import program

from compose_ops.rollout.journal import Journal

note, times = Journal.note, Counter[str]()
notes = Path(os.environ.get("BOUNDARIES", os.devnull))
due: dict[str, str] = {}
for word in sys.argv[1].split(","):
    before, _, at = word.rpartition("@")
    due[at] = f"SIG{before or 'KILL'}"


def note_and_signal(journal: Journal, step: str) -> None:
    note(journal, step)
    times[step] += 1
    name = step if times[step] == 1 else f"{step}#{times[step]}"
    with notes.open("a") as file:
        file.write(name + "\n")
    for here in {name, str(times.total())} & set(due):
        os.kill(os.getpid(), signal.Signals[due[here]])


setattr(Journal, "note", note_and_signal)  # noqa: B010 - mypy wants a method there
program.run(["invoke", *sys.argv[2:]])
