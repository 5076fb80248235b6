"""The program `compose-ops`: every task in any folder with a compose file."""

from invoke.program import Program

from compose_ops import __version__
from compose_ops.cli.collection import collection


def main() -> None:
    """Run the task of the command line; no `tasks.py` is read."""
    program = Program(
        name="compose-ops",
        binary="compose-ops",
        version=__version__,
        namespace=collection(),
    )
    program.run()
