"""The program `compose-ops`: every task in any folder with a compose file."""

from importlib.metadata import version

from invoke.program import Program

from compose_ops.cli.collection import collection


def main() -> None:
    """Run the task of the command line; no `tasks.py` is read."""
    program = Program(
        name="compose-ops",
        binary="compose-ops",
        version=version("compose-ops"),
        namespace=collection(),
    )
    program.run()
