"""The images that a mode makes itself, before the services' own are built."""

import shlex
import subprocess
import sys

from compose_ops.config import ModeTable
from compose_ops.console import say
from compose_ops.errors import EngineError
from compose_ops.runtime.context import StackContext


def missing_images(stack: StackContext) -> tuple[str, ...]:
    """Return the images of the mode's `images` that are not there."""
    wanted = [name for mode in _modes(stack) for name in mode.images]
    there = stack.engine.images(wanted) if wanted else {}
    return tuple(name for name in wanted if name not in there)


def prepare(stack: StackContext) -> None:
    """
    Run the mode's `prepare` commands in the folder of `compose-ops.toml`.

    What is current they do not build again. Raises EngineError for one that fails.
    """
    for mode in _modes(stack):
        for line in mode.prepare:
            say(f"preparing images: {line}")
            done = subprocess.run(
                shlex.split(line),
                cwd=stack.config.folder,
                stdout=sys.stderr,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            if done.returncode != 0:
                raise EngineError(
                    f"the mode's images were not made: {line} ended with exit code "
                    f"{done.returncode}",
                    hint=f"run it in {stack.config.folder} to see where it stops",
                )


def _modes(stack: StackContext) -> list[ModeTable]:
    tables = stack.config.modes
    return [tables[name] for name in stack.mode.names if name in tables]
