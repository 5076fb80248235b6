"""The stream of events, from a docker that may end before the task does."""

import os
import sys
import time

from compose_ops.docker.events import event_stream

SAY = 'import os; print(\'{"Action": "%d"}\' % os.getsid(0))'


def test_a_stream_that_ended_takes_as_long_as_one_that_is_silent() -> None:
    """Whoever waits for what it cannot bring looks now and then, not all the time."""
    with event_stream([sys.executable, "-c", ""], echo=lambda _argv: None) as stream:
        begin = time.monotonic()
        found = [stream.next(0.2) for _ in range(3)]

    assert not any(found)
    assert time.monotonic() - begin >= 0.6


def test_ctrl_c_is_for_the_task_alone() -> None:
    """Docker would end, and what puts things back would see no event."""
    argv = [sys.executable, "-c", SAY]
    with event_stream(argv, echo=lambda _argv: None) as stream:
        found = stream.next(10)

    assert found
    assert found.action != str(os.getsid(0))
