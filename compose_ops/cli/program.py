"""The program `compose-ops`: every task in any folder with a compose file."""

import sys

from invoke.program import Program

from compose_ops import __version__, console
from compose_ops.cli.collection import collection
from compose_ops.library.faults import described

NAME = "compose-ops"


def main() -> None:
    """
    Run the task of the command line; no `tasks.py` is read.

    What fails around a task, such as a folder that is gone, is told as in one.
    """
    console.name_program(NAME)
    try:
        program = Program(
            name=NAME,
            binary=NAME,
            version=__version__,
            namespace=collection(),
        )
        program.run()
    except OSError as failed:
        console.attach()
        told = described(failed)
        console.say(str(told))
        sys.exit(told.exit_code)
