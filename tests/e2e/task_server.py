"""
A process that has what tasks load, and forks for each that it is asked for.

`task_server.py SOCKET` takes requests of forked_tasks.py until its standard input ends:
two file descriptors for the output, then the length and the JSON of argv, folder,
environment and user. It answers with the process id, and then with the exit code.
"""

import atexit
import codecs
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn


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
    with link.makefile("rb") as more:
        request = json.loads(more.read(int.from_bytes(head, "big")))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    pid = os.fork()
    if pid == 0:
        link.close()
        _become(streams, *request)
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
