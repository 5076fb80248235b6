"""
Run an invoke task as another user: `doctor_as.py UID GID TASK FLAG...`.

That user may be unable to read the interpreter's own files, so the task is run once
before, as root and unheard, which loads every module.
"""

import os
import sys

from invoke.program import Program


def main(uid: int, gid: int, words: list[str]) -> None:
    heard = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for handle in (1, 2):
        os.dup2(nowhere, handle)
    Program().run(["invoke", *words], exit=False)
    sys.stdout.flush()
    for handle, own in zip((1, 2), heard, strict=True):
        os.dup2(own, handle)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    os.environ["HOME"] = os.getcwd()  # noqa: PTH109 - read before any import fails
    Program().run(["invoke", *words])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
