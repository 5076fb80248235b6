"""Ask an ssh server for its host keys, which proves nothing of them."""

import subprocess
from typing import Any

from volume_helper.failure import Failed
from volume_helper.restic import Restic

SECONDS = "10"


def offered(_restic: Restic, *, host: str, port: int) -> dict[str, Any]:
    """
    Return {"keys": [{"line", "kind", "fingerprint"}]} of the server at *host*.

    Each line is one for a file of known hosts. Raises Failed where none answers.
    """
    found = subprocess.run(
        ["ssh-keyscan", "-T", SECONDS, "-p", str(port), "--", host],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = sorted({line for line in found.stdout.splitlines() if line[:1] != "#"})
    if not lines:
        raise Failed(f"{host}:{port} shows no host key", kind="unreachable")
    return {"keys": [_described(line) for line in lines]}


def _described(line: str) -> dict[str, str]:
    told = subprocess.run(
        ["ssh-keygen", "-lf", "-"],
        input=line,
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "line": line,
        "kind": line.split(" ")[1],
        "fingerprint": told.stdout.split(" ")[1],
    }
