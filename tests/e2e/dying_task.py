"""
Run `invoke WORDS`, noting each step boundary; die by SIGKILL at the one that is due.

BOUNDARIES names the file for the notes, DIE_AT the number of the last boundary.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from invoke.main import program

from jimbot_stack import journal


def note(step: str) -> None:
    """Write down the boundary; at the one that is due, end without a goodbye."""
    file = Path(os.environ["BOUNDARIES"])
    with file.open("a") as notes:
        notes.write(step + "\n")
    if len(file.read_text().splitlines()) == int(os.environ.get("DIE_AT", "0")):
        os.kill(os.getpid(), signal.SIGKILL)


journal.reached = note
program.run(["invoke", *sys.argv[1:]])
