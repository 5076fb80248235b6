"""One task at a time: the lock names its holder and dies with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jimbot_stack.errors import Locked
from jimbot_stack.locking import locked

HOLD = """
import sys
from jimbot_stack.locking import locked
with locked("engine", sys.argv[1], task="invoke backup"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(project: str) -> subprocess.Popen[str]:
    """Begin another process that holds the lock until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, project],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_second_task_is_refused_with_the_holders_name() -> None:
    project = f"lock-{os.getpid()}"
    with holder(project) as process:
        with (
            pytest.raises(Locked, match=f"invoke backup .pid {process.pid}"),
            locked("engine", project, task="invoke up"),
        ):
            pass
        process.kill()


def test_killed_holder_leaves_no_lock() -> None:
    """SIGKILL runs no clean-up, and none is needed."""
    project = f"lock-{os.getpid()}"
    with holder(project) as process:
        process.kill()
        process.wait()

    with locked("engine", project, task="invoke up"):
        pass


def test_other_project_is_not_locked() -> None:
    with (
        locked("engine", f"one-{os.getpid()}", task="invoke up"),
        locked("engine", f"two-{os.getpid()}", task="invoke up"),
    ):
        pass
