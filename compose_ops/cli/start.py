"""
Where the program `compose-ops` begins: Ctrl-C while its modules load ends it at once.

Nothing was begun by then. A task takes the signal over for as long as it runs.
"""

import os
import signal
import sys
from contextlib import suppress
from types import FrameType

EXIT_CODE = 130
WORDS = b"error: interrupted\nhint: the same command carries on\n"


def main() -> None:
    """Run the task of the command line; no `tasks.py` is read."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from compose_ops.cli import program  # it loads for a third of a second

    program.main()


def _end(_number: int, _frame: FrameType | None) -> None:
    with suppress(Exception):  # whatever reads the output may be gone
        sys.stdout.flush()
        os.write(2, WORDS)
    os._exit(EXIT_CODE)
