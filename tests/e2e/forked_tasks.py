"""
Tasks in processes that need not load their modules first.

Half of a short task's processor time goes into loading modules, and tests run some
hundred of them. A server loads them once and forks for each task; what the task finds
is else what it would find as `python -m invoke`: its own process, folder, environment
and streams.
"""

import atexit
import codecs
import functools
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_ENOUGH = 64 * 1024  # bytes that a request may have in one piece
_START_SECONDS = 60.0


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
        [sys.executable, __file__, address], stdin=subprocess.PIPE
    )
    until = time.monotonic() + _START_SECONDS
    while not Path(address).exists():
        assert server.poll() is None, "the server of tasks ended"
        assert time.monotonic() < until, "the server of tasks does not begin"
        time.sleep(0.01)
    atexit.register(shutil.rmtree, folder)
    atexit.register(server.kill)
    return address


def _serve(address: str) -> None:
    """Load what tasks import; fork for each request until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _load()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(f"{address}.new")
        door.listen()
        Path(f"{address}.new").rename(address)
        # Its standard input ends with the process that started it.
        while sys.stdin not in select.select([door, sys.stdin], [], [])[0]:
            link, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _accompany(link)
            link.close()


def _load() -> None:
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    import invoke.main  # noqa: F401
    import python_on_whales  # noqa: F401

    import compose_ops

    for name in ("ascii", "idna", "latin-1", "utf-8-sig"):
        codecs.lookup(name)
    for found in pkgutil.walk_packages(compose_ops.__path__, "compose_ops."):
        if "helper_image" not in found.name and not found.name.endswith("__main__"):
            with suppress(ImportError):  # an extra that is not installed
                importlib.import_module(found.name)


def _accompany(link: socket.socket) -> NoReturn:
    """Fork the task of one request, say its process id, then how it ended."""
    head, streams, _, _ = socket.recv_fds(link, 8, 2)
    rest = b""
    while len(rest) < int.from_bytes(head, "big"):
        rest += link.recv(_ENOUGH)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        link.close()
        _become(streams, *json.loads(rest))
    link.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    link.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(
    streams: Sequence[int],
    argv: Sequence[str],
    folder: str,
    environment: Mapping[str, str],
    user: tuple[int, int] | None,
) -> NoReturn:
    """Run a program in this process as a new one would."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, stream in enumerate((nothing, *streams)):
        os.dup2(stream, number)
        os.close(stream)
    if user:
        os.setgroups([])
        os.setgid(user[1])
        os.setuid(user[0])
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[:] = argv
    sys.path[0] = folder
    programs = {
        "invoke": sys.modules["invoke.main"].program.run,
        "compose-ops": sys.modules["compose_ops.cli.start"].main,
    }
    code: object = 0
    try:
        programs[argv[0]]()
    except SystemExit as end:
        code = end.code
    _end(code)


def _end(code: object) -> NoReturn:
    """End as the interpreter would, but do not take the loaded modules down."""
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001
    for stream in (sys.stdout, sys.stderr):
        with suppress(ValueError):  # closed
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    _serve(sys.argv[1])
