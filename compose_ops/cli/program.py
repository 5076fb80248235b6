"""The program `compose-ops`: every task in any folder with a compose file."""

from invoke.program import Program

from compose_ops import __version__, console
from compose_ops.cli.collection import collection

NAME = "compose-ops"


def main() -> None:
    """Run the task of the command line; no `tasks.py` is read."""
    console.name_program(NAME)
    program = Program(
        name=NAME,
        binary=NAME,
        version=__version__,
        namespace=collection(),
    )
    program.run()
