"""
What the client's plugins are: each is asked, or known from the last task's asking.

To start a plugin takes 20 ms of a core. What one said holds as long as its file is that
very one.
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from compose_ops.docker import process
from compose_ops.docker.base import silent
from compose_ops.project.env_file import write_private

SECONDS = 5.0


def ask(files: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of plugins by name, nothing for a broken one."""
    with ThreadPoolExecutor(len(files)) as pool:
        return dict(zip(files, pool.map(_version, files.values()), strict=True))


def _version(file: str) -> str:
    """Return what a plugin tells docker of itself; nothing when it is broken."""
    argv = [file, "docker-cli-plugin-metadata"]
    try:
        output = process.run(argv, echo=silent, timeout=SECONDS)
        return str(json.loads(output.stdout)["Version"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def known(memory: Path, files: Mapping[str, str]) -> dict[str, str]:
    """Return what these very files said before, nothing when one is another."""
    try:
        kept = json.loads(memory.read_text())
        versions = dict(kept["versions"])
        return versions if kept["files"] == _stamps(files) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def keep(memory: Path, files: Mapping[str, str], versions: Mapping[str, str]) -> None:
    """Remember what the plugins said, unless one is broken; never fail for it."""
    if not all(versions.values()):
        return
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        kept = {"files": _stamps(files), "versions": dict(versions)}
        write_private(memory, json.dumps(kept, indent=1))


def _stamps(files: Mapping[str, str]) -> dict[str, list[str | int]]:
    """Return what changes when a file is written or put in place anew."""
    told = {name: Path(file).stat() for name, file in files.items()}
    return {
        name: [files[name], one.st_ino, one.st_size, one.st_ctime_ns]
        for name, one in told.items()
    }
