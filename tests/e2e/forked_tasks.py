"""
Tasks in processes that need not load their modules first.

Half of a short task's processor time goes into loading modules, and tests run some
hundred of them. task_server.py loads them once and forks for each task; what the task
finds is else what it would find as `python -m invoke`: its own process, folder,
environment and streams.
"""

import atexit
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from waiting import eventually

SERVER = Path(__file__).with_name("task_server.py")


def run(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    seconds: float = 300,
    *,
    program: str = "invoke",
    user: tuple[int, int] | None = None,
) -> subprocess.CompletedProcess[str]:
    """
    Run a task in *folder*; return what it printed, and its exit code.

    *program* is `invoke` or `compose-ops`, *user* a user id with its only group id: the
    modules are loaded already, so that user need not be able to read them.

    Raises:
        subprocess.TimeoutExpired: it took longer than *seconds*, and was killed.

    """
    argv = [program, *words]
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        socket.socket(socket.AF_UNIX) as link,
    ):
        link.connect(_address())
        request = json.dumps([argv, str(folder), dict(environment), user]).encode()
        streams = [out.fileno(), err.fileno()]
        socket.send_fds(link, [len(request).to_bytes(8, "big")], streams)
        link.sendall(request)
        answers = link.makefile()
        pid = int(answers.readline())
        link.settimeout(seconds)
        try:
            code = int(answers.readline())
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            raise subprocess.TimeoutExpired(argv, seconds) from None
        texts = [_text(stream.fileno()) for stream in (out, err)]
    return subprocess.CompletedProcess(argv, code, *texts)


def _text(stream: int) -> str:
    """Return all that was written to a file, with the line ends of a text file."""
    data = os.pread(stream, os.fstat(stream).st_size, 0)
    return data.decode().replace("\r\n", "\n").replace("\r", "\n")


@functools.cache
def _address() -> str:
    """Start this process's server; it ends with this process."""
    folder = tempfile.mkdtemp(prefix="tasks-")
    address = f"{folder}/socket"
    server = subprocess.Popen(
        [sys.executable, str(SERVER), address], stdin=subprocess.PIPE
    )
    eventually(lambda: Path(address).exists() or server.poll() is not None)
    assert server.poll() is None, "the server of tasks ended"
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.kill)
    return address
